"""The column types that databases have differently."""

from tortoise.fields import CharField


class NameField(CharField[str]):
    """Text that is compared exactly.

    Of utf8mb4_bin only trailing spaces are no part of a name, and those no name has; the collations without that
    exception have another name on MySQL than on MariaDB.
    """

    @property
    def SQL_TYPE(self) -> str:  # type: ignore[override] # noqa: N802
        return f"VARCHAR({self.max_length}) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
