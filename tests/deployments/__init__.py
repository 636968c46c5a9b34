"""docker-compose.yaml's services as processes of this machine, and nights on them."""
