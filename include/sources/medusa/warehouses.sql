-- One warehouse per stock location. Medusa has no short name for one. A deleted location is kept: lines name it.
with locations as (
    select
        stock_location.id,
        stock_location.name,
        upper(address.country_code) as country,
        greatest(stock_location.updated_at, address.updated_at) as updated_at
    from stock_location
    left join stock_location_address as address on address.id = stock_location.address_id
)
select
    id as warehouse_id,
    name as code,
    name,
    country,
    updated_at
from locations
where updated_at >= :changed_since
