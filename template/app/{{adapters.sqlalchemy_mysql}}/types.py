"""The column types that databases have differently."""

from sqlalchemy import String, Uuid
from sqlalchemy.dialects.mysql import DATETIME

ID = Uuid(native_uuid=False)  # not MariaDB's own type, which some releases sort in another order than that of creation

# Compares exactly. Of utf8mb4_bin only trailing spaces are no part of a name, and those no name has; the collations
# without that exception have another name on MySQL than on MariaDB.
NAME = String(200, collation="utf8mb4_bin")
MOMENT = DATETIME(fsp=6)  # without fsp whole seconds
