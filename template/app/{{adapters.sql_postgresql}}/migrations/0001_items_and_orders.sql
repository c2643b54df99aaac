CREATE TABLE items (
    id uuid PRIMARY KEY,
    name varchar(200) NOT NULL UNIQUE,
    price_cents bigint NOT NULL CHECK (price_cents >= 0),
    stock bigint NOT NULL CHECK (stock >= 0),
    created_at timestamptz NOT NULL
);

CREATE TABLE orders (
    id uuid PRIMARY KEY,
    item_id uuid NOT NULL REFERENCES items (id),
    quantity bigint NOT NULL CHECK (quantity >= 1),
    total_cents bigint NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE INDEX orders_item_id ON orders (item_id);

CREATE INDEX orders_created_at ON orders (created_at);
