"""Tables that people read: sales, orders, stock, customers."""
