create or replace view audit.verdicts as
with judged as (
    -- Whatever publishes a night has judged all of the quarantine.
    select publications.publication_id, publications.run_id, publications.published_at as judged_at
    from audit.publications
    join audit.runs using (run_id)
    where runs.kind in ('night', 'replay')
    union all
    select null, runs.run_id, runs.judged_at
    from audit.runs
    where runs.judged_at is not null
),

given as (
    -- Kept aside: for the first time, or still, as another version of what was held until then.
    select
        held.quarantine_id,
        held.quarantined_by as run_id,
        held.quarantined_at as judged_at,
        held.rules,
        case when exists (
            select from audit.quarantine as before
            where before.source = held.source and before.row_key = held.row_key
                and before.outcome = 'changed' and before.resolved_at = held.quarantined_at
        ) then 'still open' else 'quarantined' end as outcome
    from audit.quarantine as held
    union all
    -- Judged again, and no better.
    select held.quarantine_id, judged.run_id, judged.judged_at, held.rules, 'still open'
    from audit.quarantine as held
    join judged
        on judged.judged_at > held.quarantined_at
        and judged.judged_at < coalesce(held.resolved_at, 'infinity')
    union all
    select held.quarantine_id, held.resolved_by, held.resolved_at, '{}', held.outcome
    from audit.quarantine as held
    where held.outcome in ('released', 'deleted')
)

select
    quarantine.source,
    quarantine.row_key,
    given.judged_at,
    given.outcome,
    given.rules,
    quarantine.amount,
    quarantine.currency,
    given.run_id,
    runs.dag,
    runs.night,
    judged.publication_id,
    quarantine.quarantine_id
from given
join audit.quarantine using (quarantine_id)
join audit.runs using (run_id)
left join judged on judged.run_id = given.run_id and judged.judged_at = given.judged_at;
comment on view audit.verdicts is
'One row per row that was ever kept aside and time that it was judged: by every night and replay from then on, until it was released or deleted.';
comment on column audit.verdicts.judged_at is 'When the verdict counted: with the publication, or the replay that published nothing.';
comment on column audit.verdicts.outcome is
'quarantined; still open: judged again, and held for the rules of this row; released: accepted; deleted: gone from the shop.';
comment on column audit.verdicts.rules is 'The rules that it broke then; none once it was released or deleted.';
comment on column audit.verdicts.publication_id is 'Null for a replay that had nothing to release.';
comment on column audit.verdicts.quarantine_id is 'The version of the row in audit.quarantine, with its values.';
