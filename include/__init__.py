"""The rooms of the night: contracts, extraction, the gate, the lake, the ledger, publishing. No Airflow wiring."""
