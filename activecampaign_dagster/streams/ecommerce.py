"""What contacts bought: shops, their customers, orders and what an order is made of.

Fields and types follow the ActiveCampaign API v3 docs. No response of a real account has been
recorded; the activities of orders are known from a client's schema only.
"""

from datetime import timedelta

from activecampaign_dagster.streams.columns import bigint, instant, nested, text
from activecampaign_dagster.streams.declaration import (
    Beside,
    ByOffset,
    Changes,
    Each,
    Endpoint,
    Family,
    Missing,
    NewestFirst,
    Shape,
    Stream,
)

_DEEP_DATA = Missing(statuses=frozenset({403, 404}), says="the e-commerce (Deep Data) feature")

ECOMMERCE_CONNECTIONS = Stream(
    name="ecommerce_connections",
    family=Family.ECOMMERCE,
    endpoint=Endpoint(path="connections", collection="connections"),
    description=(
        "One row per connection of the account to a shop or another service that sends it orders."
        " The table mirrors the account's current state: a removed connection is removed by the "
        "next sync."
    ),
    walk=ByOffset(),
    missing=_DEEP_DATA,
    fields=(
        bigint("id", "Id of the connection"),
        instant("cdate", "When the connection was created"),
        text("connectionType", "Kind of connection; values not documented by the API"),
        text("credentialExpiration", "When its credentials expire; format unknown"),
        text("disconnectDate", "When it was disconnected; format unknown"),
        text("externalid", "Id of the shop's account at the service"),
        bigint("isInternal", "1 if the connection is internal; not explained by the API"),
        instant("lastSync", "When the service was last synced; NULL if never"),
        text("linkUrl", "Address of a page that leads to the service; may be empty"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("listId", "Id of a list (`lists.id`), 0 if none", references="lists"),
        text("logoUrl", "Address of the service's logo; may be empty"),
        text("name", "Name of the connection, usually the shop's"),
        text("planTier", "Meaning not documented by the API"),
        text("service", "Name of the service, e.g. shopify"),
        text("serviceName", "Name of the service again; the difference is not documented"),
        bigint("status", "State of the connection: 0 error, 1 connected"),
        bigint("syncStatus", "State of the sync: 0 stopped, 1 running"),
        text("sync_request_time", "When a sync was requested; format unknown"),
        text("sync_start_time", "When a sync was started; format unknown"),
        instant("udate", "When the connection was last updated"),
    ),
)

ECOMMERCE_CUSTOMERS = Stream(
    name="ecommerce_customers",
    family=Family.ECOMMERCE,
    endpoint=Endpoint(path="ecomCustomers", collection="ecomCustomers"),
    description=(
        "One row per customer and connection: a customer of two shops has two rows. There is no "
        "contact id, so contacts are found by `email`. The table mirrors the account's current "
        "state, totals included."
    ),
    walk=ByOffset(),
    missing=_DEEP_DATA,
    fields=(
        bigint("id", "Id of the customer"),
        text("avgProductCategory", "Product category that the customer buys most"),
        bigint("avgRevenuePerOrder", "Average revenue of an order, in cents"),
        bigint("connection", "The same as `connectionid`; NULL in some responses"),
        bigint(
            "connectionid",
            "Id of the connection (`ecommerce_connections.id`)",
            references="ecommerce_connections",
        ),
        text("email", "E-mail address of the customer", personal=True),
        text("externalid", "Id of the customer in the shop"),
        nested("links", "URLs of related resources, keyed by resource name"),
        bigint("totalOrders", "Number of orders"),
        bigint("totalProducts", "Number of products in all orders"),
        bigint("totalRevenue", "Revenue of all orders, in cents"),
        instant("tstamp", "A timestamp; the API does not document what updates it"),
    ),
)

ECOMMERCE_ORDERS = Stream(
    name="ecommerce_orders",
    family=Family.ECOMMERCE,
    endpoint=Endpoint(path="ecomOrders", collection="ecomOrders"),
    description=(
        "One row per order; carts that were abandoned are rows, too (`state`, `abandonedDate`). "
        "The API cannot select changed orders: an incremental sync reads the orders that were "
        "placed since the last sync or in the 30 days before it. An older order that changes, or "
        "is imported late, is read by the next full sync. Orders that a shop writes through the "
        "GraphQL API are custom objects and not in this table."
    ),
    walk=NewestFirst(
        stamp="externalCreatedDate",
        order="orders[external_created_date]",
        lookback=timedelta(days=30),
    ),
    changes=Changes(stamp="updatedDate", created="createdDate"),
    missing=_DEEP_DATA,
    fields=(
        bigint("id", "Id of the order"),
        instant("abandonedDate", "When the cart was abandoned; NULL for other orders"),
        bigint("connection", "The same as `connectionid`"),
        bigint(
            "connectionid",
            "Id of the connection (`ecommerce_connections.id`)",
            references="ecommerce_connections",
        ),
        instant("createdDate", "When the order was created in ActiveCampaign"),
        text("currency", "Currency of the amounts: three-letter ISO code"),
        bigint("customer", "The same as `customerid`"),
        bigint(
            "customerid",
            "Id of the customer (`ecommerce_customers.id`)",
            references="ecommerce_customers",
        ),
        bigint("discountAmount", "Sum of the discounts, in cents of `currency`"),
        text("email", "E-mail address of the customer", personal=True),
        instant("externalCreatedDate", "When the order was placed in the shop"),
        instant("externalUpdatedDate", "When the order was last changed in the shop"),
        text("externalcheckoutid", "Id of the cart in the shop; NULL if it was not abandoned"),
        text("externalid", "Id of the order in the shop"),
        nested("links", "URLs of related resources, keyed by resource name"),
        instant("orderDate", "When the order was placed"),
        text("orderNumber", "Number of the order in the shop"),
        nested("orderProducts", "Ids of the order's products (`ecommerce_order_products.id`)"),
        text("orderUrl", "Address of the order in the shop"),
        bigint("shippingAmount", "Price of shipping, in cents of `currency`"),
        text("shippingMethod", "How the order is shipped"),
        bigint("source", "Where the order came from: 0 imported from the past, 1 in real time"),
        bigint("state", "0 pending, 1 completed, 2 abandoned, 3 recovered, 4 waiting"),
        bigint("taxAmount", "Tax, in cents of `currency`"),
        bigint("totalPrice", "Total price, in cents of `currency`"),
        bigint("totalProducts", "Number of products in the order"),
        instant("tstamp", "A timestamp; the API does not document what updates it"),
        instant("updatedDate", "When the order was last updated: the replication key"),
    ),
)

ECOMMERCE_ORDER_PRODUCTS = Stream(
    name="ecommerce_order_products",
    family=Family.ECOMMERCE,
    endpoint=Endpoint(path="ecomOrderProducts", collection="ecomOrderProducts"),
    description=(
        "One row per product in an order, with its price and quantity. The table mirrors the "
        "account's current state; the collection has no total and no filter by change, so each "
        "sync reads all of it."
    ),
    walk=ByOffset(),
    missing=_DEEP_DATA,
    fields=(
        bigint("id", "Id of the row, not of the product in the shop"),
        text("category", "Category of the product"),
        bigint(
            "connectionid",
            "Id of the connection (`ecommerce_connections.id`)",
            references="ecommerce_connections",
        ),
        instant("createdDate", "When the row was created"),
        text("description", "Description of the product"),
        bigint("ecomOrder", "The same as `orderid`"),
        text("externalid", "Id of the product in the shop"),
        text("imageUrl", "Address of a picture of the product"),
        nested("links", "URLs of related resources, keyed by resource name"),
        text("name", "Name of the product"),
        bigint(
            "orderid",
            "Id of the order (`ecommerce_orders.id`)",
            references="ecommerce_orders",
        ),
        bigint("price", "Price of one, in cents of the order's currency"),
        text("productUrl", "Address of the product in the shop"),
        bigint("quantity", "How many of it were ordered"),
        text("sku", "Stock keeping unit of the product"),
        instant("tstamp", "A timestamp; the API does not document what updates it"),
        instant("updatedDate", "When the row was last updated"),
    ),
)

ECOMMERCE_ORDER_DISCOUNTS = Stream(
    name="ecommerce_order_discounts",
    family=Family.ECOMMERCE,
    endpoint=Endpoint(path="ecomOrders/{orderid}/orderDiscounts", collection="ecomOrderDiscounts"),
    description=(
        "One row per discount on an order. Off by default: discounts are listed per order only, "
        "which may take one request per order, because reading them with the orders' pages was "
        "not tried; `ecommerce_orders.discountAmount` has their sum."
    ),
    walk=ByOffset(),
    changes=Changes(stamp="updatedDate", created="createdDate"),
    beside=Beside(
        parent="ecommerce_orders",
        include="orderDiscounts",
        array="ecomOrderDiscounts",
        owner="orderid",
        passes=timedelta(days=30),
    ),
    each=Each(stream="ecommerce_orders", parameter="orderid"),
    missing=_DEEP_DATA,
    default=False,
    fields=(
        bigint("id", "Id of the discount"),
        instant("createdDate", "When the discount was created"),
        bigint("discountAmount", "The discount, in cents of the order's currency"),
        text("name", "Name of the discount, e.g. its code"),
        bigint(
            "orderid",
            "Id of the order (`ecommerce_orders.id`)",
            references="ecommerce_orders",
        ),
        text("type", "Target of the discount, e.g. order or shipping"),
        instant("updatedDate", "When the discount was last updated: the replication key"),
    ),
)

# spelt as in `ecommerce_orders`, should the API spell them so here, too
_CAMEL = {
    "abandonedDate": "abandoned_date",
    "createdDate": "created_date",
    "discountAmount": "discount_amount",
    "externalCreatedDate": "external_created_date",
    "externalUpdatedDate": "external_updated_date",
    "logoUrl": "logo_url",
    "orderNumber": "order_number",
    "orderUrl": "order_url",
    "shippingAmount": "shipping_amount",
    "shippingMethod": "shipping_method",
    "storeName": "store_name",
    "taxAmount": "tax_amount",
    "totalPrice": "total_price",
    "totalProducts": "total_products",
    "updatedDate": "updated_date",
}
_DATES = tuple(name for name in _CAMEL.values() if name.endswith("_date"))

ECOMMERCE_ORDER_ACTIVITIES = Stream(
    name="ecommerce_order_activities",
    family=Family.ECOMMERCE,
    endpoint=Endpoint(
        path="ecomOrderActivities",
        collection="ecomOrderActivities",
        shape=Shape(renames=_CAMEL, local=_DATES),
    ),
    description=(
        "One row per activity on an order, with the order's state and amounts. Off by default: "
        "the spelling of the fields is not known, an order can have many rows, and each sync "
        "reads all of them."
    ),
    walk=ByOffset(),
    missing=_DEEP_DATA,
    default=False,
    fields=(
        bigint("id", "Id of the activity"),
        instant("abandoned_date", "When the cart was abandoned"),
        bigint("connection", "The same as `connectionid`"),
        bigint(
            "connectionid",
            "Id of the connection (`ecommerce_connections.id`)",
            references="ecommerce_connections",
        ),
        instant("created_date", "When the activity was created"),
        text("currency", "Currency of the amounts"),
        bigint(
            "customerid",
            "Id of the customer (`ecommerce_customers.id`)",
            references="ecommerce_customers",
        ),
        text("discount_amount", "Sum of the discounts; unit unknown"),
        text("email", "E-mail address of the customer", personal=True),
        instant("external_created_date", "When the order was placed in the shop"),
        instant("external_updated_date", "When the order was last changed in the shop"),
        text("externalcheckoutid", "Id of the cart in the shop"),
        text("externalid", "Id of the order in the shop"),
        text("logo_url", "Address of a logo, judging by the name"),
        bigint("order", "The same as `orderid`"),
        text("order_number", "Number of the order in the shop"),
        text("order_url", "Address of the order in the shop"),
        bigint(
            "orderid",
            "Id of the order (`ecommerce_orders.id`)",
            references="ecommerce_orders",
        ),
        text("shipping_amount", "Price of shipping; unit unknown"),
        text("shipping_method", "How the order is shipped"),
        bigint("source", "Where the order came from; see `ecommerce_orders.source`"),
        bigint("state", "State of the order; see `ecommerce_orders.state`"),
        text("store_name", "Name of the shop, judging by the name"),
        text("tax_amount", "Tax; unit unknown"),
        text("total_price", "Total price; unit unknown"),
        bigint("total_products", "Number of products in the order"),
        instant("updated_date", "When the activity was last updated"),
    ),
)
