-- What the role analyst may read, if there is one: our own relations that it may not read yet, and all that come.

do $$
declare
    lacking regclass;
begin
    if not exists (select from pg_roles where rolname = 'analyst') then
        return;
    end if;
    grant usage on schema reporting, features, audit to analyst;
    alter default privileges in schema reporting, features, audit grant select on tables to analyst;
    for lacking in
        select pg_class.oid
        from pg_class
        where relnamespace in ('reporting'::regnamespace, 'features'::regnamespace, 'audit'::regnamespace)
            and relkind in ('r', 'p', 'v', 'm')
            and pg_has_role(relowner, 'usage')
            and not has_table_privilege('analyst', pg_class.oid, 'select')
    loop
        execute format('grant select on %s to analyst', lacking);
    end loop;
end
$$;
