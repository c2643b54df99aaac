"""The cache's settings, read from the environment and from `.env`."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class CacheSettings(BaseSettings):
    """Where Redis is; without a URL nothing is cached."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    redis_url: SecretStr | None = None
    redis_url_file: Path | None = None  # without redis_url: a file that holds it, such as a mounted secret

    @property
    def url(self) -> str | None:
        """The URL of Redis, with its password."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value().strip()
        if self.redis_url_file is not None:
            return self.redis_url_file.read_text(encoding="utf-8").strip()
        return None
