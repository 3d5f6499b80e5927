"""What docs/migrating-from-celery.md takes for granted: a bank that charges cards."""

from __future__ import annotations

FILES = {
    "shop/bank.py": """
def order_exists(order_id: str) -> bool:
    return True


def charge_card(order_id: str, cents: int) -> str:
    return f"{cents} for {order_id}"
"""
}
