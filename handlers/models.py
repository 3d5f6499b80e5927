"""Models: users, profiles, sessions, archives and files, as small as the handlers that come with jobqueue need them.

A service has tables of its own for these. The handlers show what to do with them; replace the models by yours. The
names of the tables begin with `service_`, so that they are in nobody's way.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from jobqueue.database import UtcDateTime, new_metadata

MAX_ID = 36
MAX_TEXT = 200
MAX_URL = 2048
MAX_KEY = 512


class ServiceBase(DeclarativeBase):
    metadata = new_metadata()


class User(ServiceBase):
    """Who uses the service. `email_verified_at` is None until the address has answered."""

    __tablename__ = "service_user"

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    email: Mapped[str] = mapped_column(String(MAX_TEXT), unique=True)
    email_verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class Profile(ServiceBase):
    """A page elsewhere that a user says is his. `verified_at` is when its proof was last found; None after one that was
    not, and then `refusal` says why.
    """

    __tablename__ = "service_profile"
    __table_args__ = (UniqueConstraint("user_id", "url"),)

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("service_user.id", ondelete="CASCADE"))
    url: Mapped[str] = mapped_column(String(MAX_URL))
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    refusal: Mapped[str | None] = mapped_column(String(MAX_TEXT))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class Session(ServiceBase):
    """A user who is signed in somewhere. It is over when it is revoked or has expired."""

    __tablename__ = "service_session"
    __table_args__ = (Index(None, "user_id"), Index(None, "expires_at"), Index(None, "revoked_at"))

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("service_user.id", ondelete="CASCADE"))
    data: Mapped[dict[str, object]] = mapped_column(JSON)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime())
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class RefreshToken(ServiceBase):
    """What a session is prolonged with, once: `used_at` is set then, and the next token made. A token that is used
    twice has been copied.

    Invariant: the token itself is kept nowhere, only its SHA-256, in hexadecimal.
    """

    __tablename__ = "service_refresh_token"
    __table_args__ = (Index(None, "session_id"),)

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("service_session.id", ondelete="CASCADE"))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class Archive(ServiceBase):
    """A collection of files that users host together. One without users is dead."""

    __tablename__ = "service_archive"

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    name: Mapped[str] = mapped_column(String(MAX_TEXT))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())


class ArchiveUser(ServiceBase):
    """That a user hosts an archive."""

    __tablename__ = "service_archive_user"
    __table_args__ = (Index(None, "user_id"),)

    archive_id: Mapped[str] = mapped_column(ForeignKey("service_archive.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("service_user.id", ondelete="CASCADE"), primary_key=True)


class File(ServiceBase):
    """A file in the store, by its key there. A variant is a file of its own, made from another one: `variant` says how.

    `placeholder` is a data URI of some hundred bytes that is shown until the image has been loaded.
    """

    __tablename__ = "service_file"
    __table_args__ = (UniqueConstraint("variant_of", "variant"), Index(None, "archive_id"))

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    key: Mapped[str] = mapped_column(String(MAX_KEY), unique=True)
    name: Mapped[str] = mapped_column(String(MAX_TEXT))
    content_type: Mapped[str] = mapped_column(String(MAX_TEXT))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    placeholder: Mapped[str | None] = mapped_column(Text)
    archive_id: Mapped[str | None] = mapped_column(ForeignKey("service_archive.id", ondelete="CASCADE"))
    variant_of: Mapped[str | None] = mapped_column(ForeignKey("service_file.id", ondelete="CASCADE"))
    variant: Mapped[str | None] = mapped_column(String(MAX_TEXT))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
