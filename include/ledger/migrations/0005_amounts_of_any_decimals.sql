-- A shop's amounts have as many decimals as the one of its currencies that has most: none in yen, three in dinars.

alter table audit.quarantine alter column amount type numeric;
