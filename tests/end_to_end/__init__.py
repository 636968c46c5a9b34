"""A night and what follows it, in the real Airflow: one machine for all of these tests, gone when they are over."""
