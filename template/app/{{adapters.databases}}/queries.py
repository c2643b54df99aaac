"""The statements that all databases read alike."""

INSERT_ITEM = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    VALUES (:id, :name, :price_cents, :stock, :created_at)
"""

GET_ITEM = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id = :id"

FIRST_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items ORDER BY id LIMIT :limit"

NEXT_ITEMS = "SELECT id, name, price_cents, stock, created_at FROM items WHERE id > :after ORDER BY id LIMIT :limit"

INSERT_ORDER = """
    INSERT INTO orders (id, item_id, quantity, total_cents, created_at)
    VALUES (:id, :item_id, :quantity, :total_cents, :created_at)
"""
