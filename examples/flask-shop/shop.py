"""A small shop as teams write them: Flask, SQLAlchemy, prometheus_client, under gunicorn. It knows nothing of belay.

The settings of a release come from the environment, see releases/.
"""
import os
import random
import sys
import time

from flask import Flask, Response, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, Counter, Histogram, Info, generate_latest
from sqlalchemy import Column, Integer, MetaData, Numeric, String, Table, create_engine, func, insert, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

VERSION = os.environ.get("SHOP_VERSION", "dev")
DATABASE_URL = os.environ["DATABASE_URL"]
FAIL_SHARE = float(os.environ.get("SHOP_FAIL_SHARE", "0"))
CHECKOUT_DELAY = float(os.environ.get("SHOP_CHECKOUT_DELAY", "0"))
LEAK_BYTES = int(os.environ.get("SHOP_LEAK_BYTES", "0"))

if os.environ.get("SHOP_CRASH"):
    sys.exit("shop: setting PAYMENTS_URL is missing")

REQUESTS = Counter("http_requests_total", "Requests.", ["method", "endpoint", "status"])
DURATION = Histogram("http_request_duration_seconds", "Time to serve.", ["method", "endpoint"])
ORDERS = Counter("orders_total", "Orders taken.")
Info("shop_build", "What runs here.").info({"version": VERSION})

metadata = MetaData()
products = Table("products", metadata, Column("id", Integer, primary_key=True), Column("name", String), Column("price", Numeric))
orders = Table("orders", metadata, Column("id", Integer, primary_key=True), Column("product_id", Integer))
engine = create_engine(DATABASE_URL, poolclass=NullPool, connect_args={"timeout": 5})
metadata.create_all(engine)
with engine.begin() as db:
    if db.scalar(select(func.count()).select_from(products)) == 0:
        db.execute(insert(products), [{"name": f"product {i}", "price": i} for i in range(1, 21)])

app = Flask(__name__)
leaked = []


@app.before_request
def begin():
    g.begin = time.perf_counter()


@app.after_request
def count(response):
    endpoint = request.endpoint or "none"
    if endpoint not in ("metrics", "healthz"):
        REQUESTS.labels(request.method, endpoint, response.status_code).inc()
        DURATION.labels(request.method, endpoint).observe(time.perf_counter() - g.begin)
    return response


@app.get("/")
def index():
    with engine.connect() as db:
        rows = db.execute(select(products.c.id, products.c.name)).all()
    if LEAK_BYTES:
        leaked.append(bytearray(os.urandom(1024)) * (LEAK_BYTES // 1024))
    return jsonify(products=[{"id": r.id, "name": r.name} for r in rows], version=VERSION)


@app.get("/products/<int:product_id>")
def product(product_id):
    with engine.connect() as db:
        row = db.execute(select(products).where(products.c.id == product_id)).first()
    if row is None:
        return jsonify(error="no such product"), 404
    return jsonify(id=row.id, name=row.name, price=float(row.price))


@app.post("/checkout")
def checkout():
    time.sleep(CHECKOUT_DELAY)
    if random.random() < FAIL_SHARE:
        raise RuntimeError("payment gateway answered nonsense")
    with engine.begin() as db:
        db.execute(insert(orders).values(product_id=random.randint(1, 20)))
    ORDERS.inc()
    return jsonify(ok=True), 201


@app.get("/healthz")
def healthz():
    database = "ok"
    try:
        with engine.connect() as db:
            db.scalar(select(func.count()).select_from(products))
    except SQLAlchemyError as error:
        database = f"down: {type(error).__name__}"
    ok = database == "ok"
    return jsonify(status="ok" if ok else "unhealthy", version=VERSION, dependencies={"database": database}), 200 if ok else 503


@app.get("/metrics")
def metrics():
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
