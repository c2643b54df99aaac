CREATE TABLE items (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0),
    stock INTEGER NOT NULL CHECK (stock >= 0),
    created_at TEXT NOT NULL
) STRICT;

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    item_id TEXT NOT NULL REFERENCES items (id),
    quantity INTEGER NOT NULL CHECK (quantity >= 1),
    total_cents INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT;

CREATE INDEX orders_item_id ON orders (item_id);

CREATE INDEX orders_created_at ON orders (created_at);
