"""What `peers.py` backs up, the same bytes on every run: files of Debian's packages, a database of a point of sale, many small files.

Each corpus is a folder below `root` with a mark that says how it was made; one that is there already is used again.
"""

import os
import random
import shutil
import sqlite3
from pathlib import Path

# Full size and the one for a quick look: files and bytes, orders, files.
SIZES = {
    "full": {"files": (83_000, 2_900_000_000), "orders": 3_750_000, "small": 300_000},
    "quick": {"files": (8_000, 250_000_000), "orders": 200_000, "small": 20_000},
}
BEGIN, DAY = 1_700_000_000, 86_400
NOTES = ("", "", "", "", "gift wrapped", "no onions", "paid in two parts", "table by the window", "returned customer, 5 % off")
STREETS = ("Harbour Road", "Mill Lane", "Station Street", "Garden Terrace", "Old Market", "Bridge Street", "King Street", "North Avenue")
GOODS = ("espresso", "filter coffee", "green tea", "croissant", "cheese roll", "mineral water", "orange juice", "apple pie", "salad", "soup")


def build(name, root, size):
    """The folder of the corpus, made where it is not there."""
    folder, mark = Path(root) / f"{name}-{size}", Path(root) / f"{name}-{size}.made"
    if not mark.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        {"files": files, "database": database, "small": small}[name](folder, SIZES[size])
        mark.write_text("1\n")
    return folder


def files(folder, size):
    """The first files of /usr of the installed packages, in order of their names, up to a number and a size."""
    most, most_bytes = size["files"]
    names = sorted({
        line
        for listing in Path("/var/lib/dpkg/info").glob("*.list")
        for line in listing.read_text(errors="surrogateescape").splitlines()
        if line.startswith("/usr/")
    })  # fmt: skip
    # Spread over all packages, not only the first letters.
    random.Random(4).shuffle(names)
    count = total = 0
    for name in names:
        path = Path(name)
        if count == most or total >= most_bytes:
            break
        if path.is_symlink() or path.is_file():
            target = folder / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target, follow_symlinks=False)
            count += 1
            total += target.lstat().st_size


def _orders(count, changed_from):
    """The rows of one order after the other: (order, items, payment). From `changed_from` on they are as some days later."""
    generator = random.Random(2)
    number = generator.random
    for order in range(1, count + 1):
        created = BEGIN + order * 11 + int(number() * 11)
        customer, cashier, store = int(number() * 60_000), int(number() * 40), int(number() * 9)
        uuid = f"{generator.getrandbits(128):032x}"
        note = NOTES[int(number() * len(NOTES))]
        address = f"{int(number() * 190) + 1} {STREETS[int(number() * len(STREETS))]}" if number() < 0.3 else ""
        items, total = [], 0
        for line in range(1 + int(number() * 3)):
            good, quantity = int(number() * 1000), 1 + int(number() * 4)
            price = 90 + good * 7 % 1900
            total += quantity * price
            items.append((order * 4 + line, order, good, f"{GOODS[good % len(GOODS)]} {good}", quantity, price, int(number() * 3)))
        status, changed = ("open", created) if order % 50 == 0 else ("paid", created + 40 + int(number() * 600))
        if order >= changed_from:
            status, changed = "closed", changed + DAY
        payment = (order, order, ("cash", "card", "voucher")[int(number() * 3)], total, f"{generator.getrandbits(64):016x}", changed)
        yield (order, uuid, store, cashier, customer, created, changed, total, total * 19 // 119, status, note, address), items, payment


TABLES = (
    ("orders", "id INTEGER PRIMARY KEY, uuid TEXT, store INT, cashier INT, customer INT, created INT, changed INT, total INT, tax INT, "
     "status TEXT, note TEXT, address TEXT"),
    ("items", "id INTEGER PRIMARY KEY, order_id INT, good INT, name TEXT, quantity INT, price INT, discount INT"),
    ("payments", "id INTEGER PRIMARY KEY, order_id INT, kind TEXT, amount INT, reference TEXT, at INT"),
)  # fmt: skip


def _batches(count, changed_from):
    rows = {name: [] for name, _ in TABLES}
    for at, (order, items, payment) in enumerate(_orders(count, changed_from), 1):
        rows["orders"].append(order)
        rows["items"] += items
        rows["payments"].append(payment)
        if at % 20_000 == 0 or at == count:
            yield rows
            rows = {name: [] for name, _ in TABLES}


def _write_state(folder, count, changed_from):
    folder.mkdir()
    connection = sqlite3.connect(folder / "pos.db")
    connection.execute("PRAGMA journal_mode=OFF")
    connection.execute("PRAGMA synchronous=OFF")
    dumps = {}
    for name, columns in TABLES:
        connection.execute(f"CREATE TABLE {name} ({columns})")
        dumps[name] = open(folder / f"{name}.copy", "w+b")
        dumps[name].write(f"CREATE TABLE public.{name} ({columns});\n\nCOPY public.{name} FROM stdin;\n".encode())
    for rows in _batches(count, changed_from):
        for name, _ in TABLES:
            if rows[name]:
                connection.executemany(f"INSERT INTO {name} VALUES ({','.join('?' * len(rows[name][0]))})", rows[name])
                dumps[name].write("".join("\t".join(map(str, row)) + "\n" for row in rows[name]).encode())
    connection.execute("CREATE INDEX orders_by_customer ON orders (customer)")
    connection.execute("CREATE INDEX items_by_order ON items (order_id)")
    connection.commit()
    connection.close()
    with open(folder / "pos.sql", "wb") as whole:
        for name, _ in TABLES:
            dumps[name].write(b"\\.\n\n")
            dumps[name].seek(0)
            shutil.copyfileobj(dumps[name], whole, 1 << 20)
            dumps[name].close()
            os.unlink(folder / f"{name}.copy")


def database(folder, size):
    """An SQLite file and a dump as pg_dump writes it, in `now`; and in `later` the same with the newest 2 % of the orders changed."""
    count = size["orders"]
    _write_state(folder / "now", count, count + 1)
    shutil.copytree(folder / "now", folder / "later")
    changed_from = count - count // 50 + 1
    connection = sqlite3.connect(folder / "later/pos.db")
    connection.execute("PRAGMA journal_mode=OFF")
    sql = folder / "later/pos.sql"
    os.unlink(sql)
    _write_state(folder / "other", count, changed_from)
    # The file keeps its pages: rows are changed where they are, as a running shop does.
    connection.execute("ATTACH ? AS other", (str(folder / "other/pos.db"),))
    connection.execute(
        "UPDATE orders SET (changed, status) = (SELECT changed, status FROM other.orders AS o WHERE o.id = orders.id) WHERE id >= ?",
        (changed_from,),
    )
    connection.execute("UPDATE payments SET at = (SELECT at FROM other.payments AS o WHERE o.id = payments.id) WHERE id >= ?", (changed_from,))
    connection.commit()
    connection.close()
    os.rename(folder / "other/pos.sql", sql)
    shutil.rmtree(folder / "other")


def small(folder, size):
    """Receipts of 1 to 8 KiB, five hundred to a folder."""
    generator = random.Random(3)
    number = generator.random
    words = [f"{good} {number_of}" for good in GOODS for number_of in range(40)]
    for at in range(size["small"]):
        if at % 500 == 0:
            below = folder / f"{at // 500 // 20:02d}" / f"{at // 500:04d}"
            below.mkdir(parents=True)
        wanted = 1024 + int(number() * 7168)
        lines = [f'{{"receipt": {at}, "uuid": "{generator.getrandbits(128):032x}", "lines": [']
        length = len(lines[0])
        while length < wanted:
            line = f'  {{"sku": "{generator.getrandbits(40):010x}", "name": "{words[int(number() * len(words))]}", "price": {int(number() * 1900)}}},'
            lines.append(line)
            length += len(line) + 1
        with open(below / f"receipt-{at:06d}.json", "w") as file:
            file.write("\n".join(lines)[:wanted])
