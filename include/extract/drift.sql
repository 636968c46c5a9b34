-- The shop's tables and views in its catalogue, as one JSON object by name; the names are given one per line.
select coalesce(json_object_agg(relation.name, json_build_object(
    'columns', (
        select coalesce(json_object_agg(attname, format_type(atttypid, atttypmod) order by attnum), '{}')
        from pg_attribute where attrelid = relation.oid and attnum > 0 and not attisdropped
    ),
    'enums', (
        select coalesce(json_object_agg(attname, labels), '{}') from (
            select attname, json_agg(enumlabel order by enumsortorder) as labels
            from pg_attribute
            join pg_type on pg_type.oid = atttypid
            join pg_enum on enumtypid = coalesce(nullif(typbasetype, 0), nullif(typelem, 0), pg_type.oid)
            where attrelid = relation.oid and attnum > 0 and not attisdropped group by attname
        ) as enums
    ),
    'keys', (
        select coalesce(json_agg(distinct format('key (%s)', columns)), '[]') from (
            select (
                select string_agg(attname, ', ' order by position)
                from unnest(indkey[:indnkeyatts - 1]) with ordinality as part (attnum, position)
                join pg_attribute on attrelid = indrelid and pg_attribute.attnum = part.attnum
            ) as columns
            from pg_index
            where indrelid = relation.oid and indisunique and indisvalid and indpred is null and indexprs is null
        ) as keys
    ),
    'foreign_keys', (
        select coalesce(json_agg(distinct format('foreign key (%s) references %s (%s)', columns, target, referred)), '[]')
        from (
            select
                (
                    select string_agg(attname, ', ' order by position)
                    from unnest(conkey) with ordinality as part (attnum, position)
                    join pg_attribute on attrelid = conrelid and pg_attribute.attnum = part.attnum
                ) as columns,
                (
                    select string_agg(attname, ', ' order by position)
                    from unnest(confkey) with ordinality as part (attnum, position)
                    join pg_attribute on attrelid = confrelid and pg_attribute.attnum = part.attnum
                ) as referred,
                (
                    select nspname || '.' || relname from pg_class join pg_namespace on pg_namespace.oid = relnamespace
                    where pg_class.oid = confrelid
                ) as target
            from pg_constraint where conrelid = relation.oid and contype = 'f' and conparentid = 0
        ) as foreign_keys
    ),
    -- A table behind a view is read with the rights of the view's owner, which other policies may hold for.
    'hides_rows', row_security_active(relation.oid) and has_table_privilege(relation.oid, 'select'),
    'comment', coalesce(obj_description(relation.oid, 'pg_class'), '')
)), '{}')::text as found
from (
    select pg_class.oid, nspname || '.' || relname as name
    from pg_class join pg_namespace on pg_namespace.oid = relnamespace
) as relation
where relation.name = any (string_to_array(:names, chr(10)))
