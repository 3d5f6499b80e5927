"""The board and the admin routes, over real Redis, asked as clients and browsers ask."""
