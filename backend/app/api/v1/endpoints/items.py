"""Items: a small honest resource, kept in memory."""

from itertools import count
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, status
from pydantic import BaseModel, Field

from ....core import bind, get_logger

router = APIRouter(prefix="/items", tags=["items"])
log = get_logger("items")

_MOST_ITEMS = 1000


class NewItem(BaseModel):
    name: str = Field(min_length=1, max_length=100)
    price: float = Field(ge=0, allow_inf_nan=False)


class Item(NewItem):
    id: int


class Shelf:
    """The items of one process; the oldest make room for new ones."""

    def __init__(self) -> None:
        self.items: dict[int, Item] = {}
        self._ids = count(1)

    def add(self, new: NewItem) -> Item:
        item = Item(id=next(self._ids), **new.model_dump())
        self.items[item.id] = item
        if len(self.items) > _MOST_ITEMS:
            del self.items[next(iter(self.items))]
        return item


shelf = Shelf()


@router.get("")
async def list_items(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[Item]:
    return list(shelf.items.values())[:limit]


@router.post("", status_code=status.HTTP_201_CREATED)
async def create_item(new: NewItem) -> Item:
    item = shelf.add(new)
    log.info("item created", item_id=item.id)
    return item


@router.get("/{item_id}")
async def read_item(item_id: int) -> Item:
    bind(item_id=item_id)
    item = shelf.items.get(item_id)
    if item is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no item {item_id}")
    return item
