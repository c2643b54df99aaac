"""The column types that databases have differently."""

from tortoise.fields import CharField

NameField = CharField
