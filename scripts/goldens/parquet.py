"""Writes examples/text2sql/internal/data/testdata/parquet.json: Parquet files in base64, as pyarrow makes them, and the rows that they hold.

    pip install pyarrow
    python scripts/goldens/parquet.py
"""

import base64
import io
import json
import os

import pyarrow as pa
import pyarrow.parquet as pq

schema = "CREATE TABLE customer (id INTEGER, name TEXT, city TEXT);"
rows = [
    {"id": 1, "db_id": "shop", "schema": schema, "question": "Who lives in Oslo?", "sql": "SELECT name FROM customer WHERE city = 'Oslo'", "dialect": "sqlite", "golds": None},
    {"id": 2, "db_id": "shop", "schema": schema, "question": "Größer als <5> & \"7\"?", "sql": "SELECT 'it''s'", "dialect": "sqlite", "golds": []},
    {"id": 3, "db_id": "zoo", "schema": None, "question": "日本", "sql": "SELECT 1\n", "dialect": "postgres", "golds": ["SELECT 1.0", "VALUES (1)"]},
    {"id": 4, "db_id": None, "schema": None, "question": "How many?", "sql": "SELECT count(*) FROM customer", "dialect": None, "golds": ["SELECT 4"]},
]
rows += [{"id": 5 + i, "db_id": "zoo", "schema": None, "question": f"Question {i}?", "sql": f"SELECT {i}", "dialect": "sqlite", "golds": [f"VALUES ({j})" for j in range(i % 4)]} for i in range(100)]

# Columns that no row has a field for, of types that JSON has no like of among them.
extra = {
    "score": pa.array([i / 4 for i in range(len(rows))], pa.float32()),
    "seen": pa.array([i % 3 == 0 for i in range(len(rows))]),
    "when": pa.array([1_700_000_000_000 + i for i in range(len(rows))], pa.timestamp("ms")),
    "price": pa.array([None] * len(rows), pa.decimal128(9, 2)),
    "tags": pa.array([[("a", i)] for i in range(len(rows))], pa.map_(pa.string(), pa.int32())),
    "nested": pa.array([{"a": [[i], [], None], "b": None} if i % 2 else None for i in range(len(rows))], pa.struct({"a": pa.list_(pa.list_(pa.int16())), "b": pa.string()})),
}

fields = pa.schema({"id": pa.int64(), **{name: pa.string() for name in ("db_id", "schema", "question", "sql", "dialect")}, "golds": pa.list_(pa.string())})
table = pa.Table.from_pylist(rows, fields)
for name, column in extra.items():
    table = table.append_column(name, column)

dictionary = table
for i, name in enumerate(table.column_names):
    if name in ("db_id", "dialect"):
        dictionary = dictionary.set_column(i, name, table[name].dictionary_encode())
large = table.select(list(fields.names)).cast(pa.schema({n: pa.large_string() if t == pa.string() else pa.large_list(pa.large_string()) if n == "golds" else t for n, t in zip(fields.names, fields.types)}))

files = {}


def write(name, table, **options):
    f = io.BytesIO()
    pq.write_table(table, f, **options)
    files[name] = base64.b64encode(f.getvalue()).decode()


write("snappy, dictionary, row groups", dictionary, compression="snappy", use_dictionary=True, row_group_size=40)
write("zstd, plain, pages v2", table, compression="zstd", use_dictionary=False, data_page_version="2.0", data_page_size=1024)
write("gzip, delta, large strings", large, compression="gzip", use_dictionary=False, column_encoding={"question": "DELTA_BYTE_ARRAY", "sql": "DELTA_LENGTH_BYTE_ARRAY", "id": "DELTA_BINARY_PACKED"})
write("uncompressed, version 1, old lists", large, compression="none", version="1.0", use_compliant_nested_type=False)

messages = [
    [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "One?"}, {"role": "assistant", "content": "1"}, {"role": "user", "content": "Two?"}, {"role": "assistant", "content": "2"}],
]
write("messages", pa.table({"messages": messages}), compression="snappy")

path = os.path.join(os.path.dirname(__file__), "../../examples/text2sql/internal/data/testdata/parquet.json")
os.makedirs(os.path.dirname(path), exist_ok=True)
with open(path, "w") as out:
    json.dump({"files": files, "rows": rows, "messages": messages}, out, ensure_ascii=False, indent=1)
    out.write("\n")
