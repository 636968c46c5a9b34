-- The tables as they are published: their names, their columns, and no others. Money is whole cents and nothing in
-- transactions is missing, both checked when loading. Products are not a foreign key: 4,836 lines name none that exists.

create table transactions (
    household_id bigint not null,
    store_id bigint not null,
    basket_id bigint not null,
    product_id bigint not null,
    quantity bigint not null,
    sales_value numeric(10, 2) not null,
    retail_disc numeric(10, 2) not null,
    coupon_disc numeric(10, 2) not null,
    coupon_match_disc numeric(10, 2) not null,
    week bigint not null,
    transaction_timestamp timestamp not null
);

create table products (
    product_id bigint not null,
    manufacturer_id bigint,
    department text,
    brand text,
    product_category text,
    product_type text,
    package_size text
);

create table demographics (
    household_id bigint not null,
    age text,
    income text,
    home_ownership text,
    marital_status text,
    household_size text,
    household_comp text,
    kids_count text
);
