"""The release of the story "bad deploy": the reference service, and a rebate that somebody did not think through."""

from app.api.v1.endpoints import items
from app.main import app

__all__ = ["app"]

_REBATES = {"regular": 0.1, "new": 0.2}


class RebateShelf(items.Shelf):
    """Prices with a rebate by the customer's group, which nobody has asked the customers for yet."""

    def add(self, new: items.NewItem) -> items.Item:
        group = new.model_dump().get("customer_group", "")
        return super().add(new.model_copy(update={"price": new.price * (1 - _REBATES[group])}))


items.shelf = RebateShelf()
