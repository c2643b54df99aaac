-- Names are compared exactly. Of utf8mb4_bin only trailing spaces are no part of a name, and those no name has; the
-- collations without that exception have another name on MySQL than on MariaDB.
CREATE TABLE IF NOT EXISTS items (
    id BINARY(16) PRIMARY KEY,
    name VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL UNIQUE,
    price_cents BIGINT NOT NULL CHECK (price_cents >= 0),
    stock BIGINT NOT NULL CHECK (stock >= 0),
    created_at DATETIME(6) NOT NULL
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS orders (
    id BINARY(16) PRIMARY KEY,
    item_id BINARY(16) NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity >= 1),
    total_cents BIGINT NOT NULL,
    created_at DATETIME(6) NOT NULL,
    INDEX orders_item_id (item_id),
    INDEX orders_created_at (created_at),
    FOREIGN KEY (item_id) REFERENCES items (id)
) ENGINE = InnoDB;
