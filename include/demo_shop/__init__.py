"""The demo shop: the source on a fresh machine, independent of the pipeline.

Belongs here: the shop's schema, its order service, the simulator that gives it a past, the customers that trade
in it, and the defects that can be planted into it.
Does not: anything of the pipeline. The shop knows no contract, no lake, no Airflow and not the pipeline's settings.
"""
