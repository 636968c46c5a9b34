-- What the ledger's tables and columns are; the views' files say it of theirs.

comment on table audit.migrations is 'One row per numbered change of the ledger''s tables that was made, and when.';

comment on table audit.definitions is
'One row per view, the comments and the grants: made anew only when their text changed, or somebody changed them by hand.';
comment on column audit.definitions.digest is 'Of the text that made it.';
comment on column audit.definitions.made is 'A digest of what the database had of it afterwards. Null for grants: none are lacking.';

comment on table audit.runs is 'One row per run that builds or publishes, whatever came of it.';
comment on column audit.runs.dag is 'The DAG whose run it is: nightly, features, republish, replay, remove_slices, or one of your own.';
comment on column audit.runs.kind is
'What it does. night: reads the shop and publishes; tables: builds tables from the published copy; replay: judges the quarantine again; republish: puts a past night back; removal: removes a night''s slices.';
comment on column audit.runs.first_day is
'The first business day of the shop: of its first order or movement. Null before rows were accepted, or without any.';
comment on column audit.runs.built_from is
'Tables, and a removal: the publication whose copy of the shop they are built from; republish: the one it puts back; replay: the one whose quarantine it judges again. Null for a night.';
comment on column audit.runs.judged_at is
'When a replay that had nothing to release, and so published nothing, entered its verdicts on the quarantine.';
comment on column audit.runs.night is 'The business day the run was for.';
comment on column audit.runs.engine is 'What was asked for; audit.builds says what built each table.';
comment on column audit.runs.parity is 'The second engine on which a sample of the tables was built and compared.';
comment on column audit.runs.horizon is 'The last whole business day that its reporting tables cover.';
comment on column audit.runs.snapshot_at is
'The shop''s clock when its one snapshot was taken. Where that clock was ahead and a full refresh took over, an instant before its own.';
comment on column audit.runs.replica_lag_seconds is
'How far behind its primary the shop was, where it is a replica: snapshot_at is then of which instant its rows are.';
comment on column audit.runs.said_at is 'What the shop''s clock said then, where it was ahead.';
comment on column audit.runs.accepting is 'Whether it is changing the lake, or died doing so: the next run then reads everything.';
comment on column audit.runs.error is 'What the first failed task said.';
comment on column audit.runs.accepting_from is
'By source and layer, the version of lake/clean and lake/quarantine that it began to change: another try begins there too.';
comment on column audit.runs.changed_until is
'The watermark that its publication sets: the snapshot, but before every transaction that was open in the shop then.';

comment on table audit.stages is 'One row per run and stage: how long its latest attempt took.';

comment on table audit.source_counts is
'One row per run and source. extracted = accepted + quarantined; a run of the kinds tables, republish and replay reads nothing and has the copy of its built_from.';
comment on column audit.source_counts.changed_since is 'The window: rows written since then were read; -infinity is all.';
comment on column audit.source_counts.released is 'Rows that an earlier night quarantined and this one accepted unread.';
comment on column audit.source_counts.recalled is 'Rows accepted earlier that this night quarantined unread (an item with its order).';
comment on column audit.source_counts.deleted is 'Rows of earlier nights that the shop no longer has any more.';
comment on column audit.source_counts.known is
'Rows of the copy before, accepted or held. known + extracted = replaced + deleted + clean_rows + held_rows.';
comment on column audit.source_counts.replaced is 'Of the known rows, those whose key was read anew.';
comment on column audit.source_counts.source_rows is 'Rows in the shop, counted in the same snapshot.';
comment on column audit.source_counts.late is
'Of the extracted rows, those that only the completeness proof found: committed or changed with a time before the window.';
comment on column audit.source_counts.gone is
'Rows of the copy that only the completeness proof found deleted in the shop; they are among deleted.';
comment on column audit.source_counts.proof is
'How much of the copy was compared with the shop by checksums: whole, or new keys. Null: it read nothing itself.';
comment on column audit.source_counts.clean_rows is 'Rows in lake/clean afterwards.';
comment on column audit.source_counts.held_rows is 'Rows in quarantine afterwards.';
comment on column audit.source_counts.clean_version is 'The version of lake/clean that this run''s tables were built from.';
comment on column audit.source_counts.held_version is 'The version of lake/quarantine that this run left.';
comment on column audit.source_counts.definition is
'What decides the rows of the copy: what is read, derived and checked. Null where it is not known, or nothing was read.';
comment on column audit.source_counts.rechecked is 'Whether every row was checked anew, from the copy.';
comment on column audit.source_counts.anew is
'Why the source was read or checked anew: what of its definition had changed since the copy was made.';
comment on column audit.source_counts.complete is 'Whether clean and quarantined rows are as many as the shop holds.';

comment on table audit.source_schemas is
'One row per source of a shop without a schema.toml: the tables it reads, as the first night found them.';
comment on column audit.source_schemas.statement is 'A digest of the .sql file; a changed file starts over.';
comment on column audit.source_schemas.relations is 'Columns, enum labels, keys and foreign keys, by table.';

comment on table audit.schema_changes is
'One row per column of the shop that was new, or wider than expected, and by which run that was seen first.';

comment on table audit.expectation_results is 'One row per run, table and rule: what Great Expectations judged.';
comment on column audit.expectation_results.table_name is 'schema.name; the schema is source, reporting or features.';
comment on column audit.expectation_results.examples is 'Keys of the first rows that broke it.';

comment on table audit.builds is 'One row per run and table: what was built, published or not.';
comment on column audit.builds.rows is 'Rows of the whole table, or of the night''s slice.';
comment on column audit.builds.inputs is 'The version of every table that was read, as layer.name.';
comment on column audit.builds.definition is
'A fingerprint of the table''s code, the shop''s numbers and its time zone: with another one, the table is built in full.';
comment on column audit.builds.horizon is
'The last whole business day that it covers: that of its run when it was built; a run that begins again may have another.';
comment on column audit.builds.digest is 'Number and hash of those rows: equal for equal rows, whatever engine built them.';

comment on table audit.parity is 'One row per run and table that was built on a second engine as well.';
comment on column audit.parity.difference is 'The first row and column that differed.';

comment on table audit.conservation is
'One row per run and proof that nothing was lost or multiplied on the way: two sides that must be equal, group by group.';
comment on column audit.conservation.one_side is 'What the first side is: the first number of every total.';
comment on column audit.conservation.groups is 'Groups that were compared: orders, days, shelves, rows.';
comment on column audit.conservation.differing is 'Groups in which any measure differed; one is enough to stop the night.';
comment on column audit.conservation.totals is 'Per measure, in order, what both sides (one, other) add up to; amounts in minor units of the lake, quantities in its smallest units.';
comment on column audit.conservation.examples is 'The first groups that differ, each with both values.';

comment on table audit.publications is 'One row per publication: a transaction that replaced what differed, in all tables.';

comment on table audit.publication_tables is 'One row per publication and table: what was loaded and what differed.';
comment on column audit.publication_tables.lake_version is 'The version of the table in the lake that was published.';
comment on column audit.publication_tables.complete is 'Whether the copy of every source it is made from held as many rows as the shop.';
comment on column audit.publication_tables.rows is 'Rows of the published window: the whole table, or the night''s slice.';

comment on table audit.publication_sources is
'One row per publication of a night and source: the copy that was published, which features of any day are built from.';
comment on column audit.publication_sources.clean_version is 'The version of lake/clean.';

comment on table audit.restatements is
'One row per figure of a day published before that a publication changed: a night by late refunds and edits, or a past night put back.';
comment on column audit.restatements.row_key is 'The key of the table''s row but for the day: product_id, currency, …';
comment on column audit.restatements.metric is 'The table''s column.';
comment on column audit.restatements.old_value is 'What readers had until then; null where there was no row, or nothing in it.';
comment on column audit.restatements.causes is
'Per source, how many rows differ between the two copies of the shop and bear on the figure, and the keys of some of them. Empty: the tables'' definition changed. Null: the lake cannot tell any more.';

comment on table audit.locks is
'One row per turn that runs take: to accept, to publish, to build a table. Whoever has it has locked the row.';

comment on table audit.tables is 'One row per table that Stocktake knows.';
comment on column audit.tables.sources is 'The shop''s tables it is made from, however far back.';
comment on column audit.tables.sliced is 'Whether it has one slice per night, each published on its own.';
comment on column audit.tables.left_out is 'Why this shop has no such table; null where it is published.';

comment on table audit.watermarks is 'One row per source: up to when its changes are published. Moves only with a publication.';

comment on table audit.quarantine is 'One row per version of a row that the gate kept aside, with every rule it broke.';
comment on column audit.quarantine.row_values is 'The whole row as it was read.';
comment on column audit.quarantine.amount is 'Money at stake, in currency, to two decimals: 0 where the row it belongs to is held too and counts it.';
comment on column audit.quarantine.outcome is
'open; released: accepted since; changed: still held, as another version; deleted: gone from the shop.';

comment on table audit.approvals is
'One row per time that a run asked an operator whether it may go on with more rows in quarantine, or gone from the shop, than is tolerated, or with a day that is unusual; a question that nobody answered before the run asked anew is not kept.';
comment on column audit.approvals.figures is
'A digest of every row that would be held, its rules and its money, and of the keys that are gone: an approval is good for these rows alone.';
comment on column audit.approvals.evidence is
'Per source with such rows: how many of how many, money by currency, and some rows; the worst rules of what would be held, the days of what is gone.';
comment on column audit.approvals.answer is 'Null while it is waited for; unanswered: nobody said anything in time.';
comment on column audit.approvals.answered_by is 'As Airflow knows them. Null where nobody did.';

comment on table audit.incidents is
'One row per incident of which the channels of STOCKTAKE_ALERTS are told: once when it is found, once when it is over.';
comment on column audit.incidents.kind is
'failed: a run that publishes failed; waits: a night waits for an approval; late: not published by STOCKTAKE_PUBLISHED_BY; features: a published night has none; scheduler: nothing ran while a night was due; anomaly: figures of a night''s day are not as expected.';
comment on column audit.incidents.run_id is
'The run that it is about; null where there is none. The ledger may not know it: it may have failed before it was entered.';
comment on column audit.incidents.reason is 'What opened it. The same run with another reason is another incident.';
comment on column audit.incidents.message is 'What the channels are told when it is found; the first line is the title.';
comment on column audit.incidents.over is
'What they are told when it is over. Null while it is open, and where another incident took its place.';
comment on column audit.incidents.told is
'The channels that have taken the message: their place in STOCKTAKE_ALERTS and their scheme, never their URL.';
comment on column audit.incidents.told_over is 'The channels that have been told that it is over.';

comment on table audit.measures is
'One row per figure of a source''s business day that a run measured: of its own day, and of earlier ones that nobody had measured.';
comment on column audit.measures.measure is
'rows, repeated (share of rows that say the same as another), blank …, distinct …, money …, … of money …, a value of a column, ….';
comment on column audit.measures.kind is 'count, amount (units of a currency), mean, ratio, share (of 1) or minutes.';
comment on column audit.measures.measured_rows is 'How many rows it is of, those that are parts of one row counted once.';
comment on column audit.measures.usual is
'What it would be on a day like those before; null of earlier days, and where too few days were known to compare with.';
comment on column audit.measures.low is 'The least that is nothing unusual.';
comment on column audit.measures.high is 'The most that is nothing unusual.';

comment on table audit.anomalies is
'One row per figure of a night''s day that is not as expected. At most 50 a night, the furthest off.';
comment on column audit.anomalies.excess is 'How far it is outside: what it is off by, over what it may be off by.';
comment on column audit.anomalies.asks is 'Whether the contract has an operator asked before it is published.';
comment on column audit.anomalies.rows_behind is 'How many rows of the day it is about.';
comment on column audit.anomalies.examples is 'Keys of some of them.';
comment on column audit.anomalies.rows_sql is 'A query on the shop''s own database that gives them.';

comment on table audit.explanations is 'One row per explanation of an operator why a day was as it was.';
comment on column audit.explanations.source is 'Of which source alone; null: of all.';
comment on column audit.explanations.measure is 'Of which figure alone; null: of all.';
comment on column audit.explanations.lasting is
'False: the day counts for no later one. True: it is so from this day on, and no earlier day counts any more.';

comment on table audit.looks is 'One row: when incidents were first looked for, and last.';

comment on table audit.exports is 'One row per export: rows of a published table that somebody asked the API for as a file.';
comment on column audit.exports.run_id is 'The run that writes it, as Airflow knows it; the last that tried.';
comment on column audit.exports.asked_by is 'As Airflow knows them.';
comment on column audit.exports.columns is 'As it was asked; null for all. Filters and sort likewise.';
comment on column audit.exports.byte_order_mark is 'Whether CSV begins with one, for Excel.';
comment on column audit.exports.asked_of_publication is 'What was published when it was asked for.';
comment on column audit.exports.state is
'queued, also between two tries; running; done: its file is there; failed; cancelled; expired: its file is gone.';
comment on column audit.exports.publication_id is 'The publication that the rows in the file are of.';
comment on column audit.exports.rows_to_do is 'Null until they are counted.';
comment on column audit.exports.error is 'Why it failed, or the last try, for whoever asked for it.';
comment on column audit.exports.file is 'Its name in exports/ in the lake.';
