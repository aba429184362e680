"""The settings of inventory-service."""

from pydantic import Field, TypeAdapter, ValidationError, field_validator

from microservices.kit.settings import Settings
from microservices.kit.wire import Id

DEFAULT_STOCK = "prod-1=100,prod-2=50,prod-3=25"
MOST = 1_000_000_000

PRODUCT_ID = TypeAdapter(Id)


class InventorySettings(Settings):
    """The settings of all versions.

    `STOCK`: what is on the shelf at the first start, as `product=number,product=number`. A later start with another
    number adds the difference. `INVENTORY_SECONDS`: how long the work on one order takes. `INVENTORY_FAILURE_RATE`:
    the share of orders for which it fails, whatever is on the shelf.
    """

    stock: str = DEFAULT_STOCK
    inventory_seconds: float = Field(default=0, ge=0, le=60, allow_inf_nan=False)
    inventory_failure_rate: float = Field(default=0.2, ge=0, le=1, allow_inf_nan=False)

    @field_validator("stock")
    @classmethod
    def _is_stock(cls, value: str) -> str:
        products_of(value)
        return value


def products_of(stock: str) -> dict[str, int]:
    """Return the number of each product in a `STOCK` setting.

    Raises:
        ValueError: It is not `product=number,product=number`, in numbers from 0 to a billion, or an order cannot have
            such a product.
    """
    products: dict[str, int] = {}
    for entry in stock.split(","):
        product, _, number = (part.strip() for part in entry.partition("="))
        if not product or not (number.isascii() and number.isdecimal()) or len(number) > 10:
            raise ValueError(f"{entry.strip()!r} should be product=number, such as prod-1=100")
        if not _is_id(product):
            raise ValueError(
                f"{product!r} should be a product's id: up to 64 of A-Z a-z 0-9 . _ @ + -"
            )
        if product in products:
            raise ValueError(f"{product} stands there twice")
        if int(number) > MOST:
            raise ValueError(f"{number} of {product} are more than {MOST}")
        products[product] = int(number)
    return products


def _is_id(product: str) -> bool:
    """Return whether an order can have a product of this name."""
    try:
        PRODUCT_ID.validate_python(product)
    except ValidationError:
        return False
    return True
