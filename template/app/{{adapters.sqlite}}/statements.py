"""The statements that all styles send as they are; what they bind has the format that the style stores."""

# One statement however many items: a JSON array. `WHERE true` keeps ON from being read as a join's.
UPSERT_ITEMS = """
    INSERT INTO items (id, name, price_cents, stock, created_at)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4
    FROM json_each(:rows)
    WHERE true
    ON CONFLICT (name) DO UPDATE SET price_cents = excluded.price_cents, stock = excluded.stock
"""

# A sum ends at 2^63. So billions of cents and the rest are summed each for itself, and written one after the other as a
# text of digits: exact for 9 x 10^9 of the largest orders in a day.
REVENUE = """
    SELECT day,
           orders,
           (billions + rest / 1000000000) || substr(1000000000 + rest - rest / 1000000000 * 1000000000, 2)
               AS revenue_cents
    FROM (
        SELECT date(created_at) AS day,
               count(*) AS orders,
               sum(total_cents / 1000000000) AS billions,
               sum(total_cents - total_cents / 1000000000 * 1000000000) AS rest
        FROM orders
        WHERE created_at >= :since
        GROUP BY day
    )
    ORDER BY day
"""

# SQLite has no sleep: it counts, about so many rows in a second. For the tests.
SLOW_STATEMENT = """
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000000 * :seconds) SELECT max(i) FROM n
"""
