-- Keys and indexes, added when the rows are in, which is twice as fast.

alter table transactions add constraint transactions_pkey primary key (basket_id, product_id);
create index transactions_transaction_timestamp_idx on transactions (transaction_timestamp);
alter table products add constraint products_pkey primary key (product_id);
alter table demographics add constraint demographics_pkey primary key (household_id);
