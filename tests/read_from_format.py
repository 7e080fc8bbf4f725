#!/usr/bin/env python3
"""Prints the records of a table as JSON, one a line, in the order of their slots.

Written from format.md alone, with Python's standard library alone: it shows that the description is enough. It checks
everything that format.md tells a reader to check, and exits with a message that says what is wrong otherwise.

    python3 read_from_format.py FILE
"""

import json
import math
import os
import struct
import sys
import zlib
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

MAGIC = b"locule\n\0"
BYTE_ORDER_MARK = 0x0102030405060708
WORD = (1 << 64) - 1
NUMBER_LIMIT = 1 << 61
GENERATION_BITS = (1 << 40) - 1
LIVE_BIT = 1 << 40
COPY_ATTEMPT_COUNT = 100


class Unreadable(Exception):
    """What is wrong with a file."""


def require(condition, message):
    if not condition:
        raise Unreadable(message)


def round_up(number, multiple):
    return -(-number // multiple) * multiple


# -- checks --------------------------------------------------------------------------------------


def mix(a, b, c):
    total = ((a + 1) * 0x9E3779B97F4A7C15 + b * 0xBF58476D1CE4E5B9 + c * 0x94D049BB133111EB) & WORD
    once = ((total ^ (total >> 31)) * 0xD6E8FEB86659FD93) & WORD
    return once ^ (once >> 29)


# -- values --------------------------------------------------------------------------------------


def year_month_day(days):
    """ISO 8601, for any day: `datetime` ends with the year 9999."""
    days += 719_468  # From 0000-03-01, so that a leap day is the last day of its year.
    era, day_of_era = divmod(days, 146_097)
    year_of_era = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    month_from_march, day = divmod(5 * day_of_year + 2, 153)
    month = month_from_march + 3 if month_from_march < 10 else month_from_march - 9
    year = year_of_era + era * 400 + (month <= 2)
    shown_year = f"{year:04d}" if 0 <= year <= 9999 else f"{year:+05d}"
    return f"{shown_year}-{month:02d}-{day // 5 + 1:02d}"


def timestamp(microseconds):
    days, microseconds = divmod(microseconds, 86_400_000_000)
    seconds, microseconds = divmod(microseconds, 1_000_000)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    return f"{year_month_day(days)}T{clock}.{microseconds:06d}Z"


def shortest_of_32_bits(value):
    """The float whose shortest digits are the shortest that name this binary32."""
    exact = Decimal(value)
    for digits in range(1, 10):
        both = [exact.normalize(Context(prec=digits, rounding=rounding)) for rounding in (ROUND_FLOOR, ROUND_CEILING)]
        for candidate in sorted(both, key=lambda candidate: abs(candidate - exact)):
            try:
                if struct.unpack("f", struct.pack("f", float(candidate))) == (value,):
                    return float(candidate)
            except OverflowError:
                pass  # Rounded up, it is more than the greatest binary32.
    raise AssertionError(f"nine digits are always enough, not for {value}")


def floating(value, bits, is_32_bits):
    if math.isnan(value):
        usual, width = (0x7FC00000, 8) if is_32_bits else (0x7FF8000000000000, 16)
        return "NaN" if bits == usual else f"NaN(0x{bits:0{width}x})"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return shortest_of_32_bits(value) if is_32_bits and value else value


class Field:
    """One field of the schema."""

    NULLABLE, KEY, DEFAULT = 1, 2, 4
    NAMES = "bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 text bytes timestamp date".split()
    WIDTHS = (1, 1, 2, 4, 8, 16, 1, 2, 4, 8, 16, 4, 8, 2, 2, 8, 4)

    def __init__(self, name, type_code, flags, capacity_bytes, order):
        require(1 <= type_code <= len(self.NAMES), f"field {name} has the unknown type {type_code}")
        require(flags < 8, f"field {name} has unknown flags {flags}")
        self.name = name
        self.type = self.NAMES[type_code - 1]
        is_sized = self.type in ("text", "bytes")
        require(is_sized == (capacity_bytes > 0), f"field {name} of type {self.type} has capacity {capacity_bytes}")
        self.is_key = bool(flags & self.KEY)
        self.is_nullable = bool(flags & self.NULLABLE)
        self.has_default = bool(flags & self.DEFAULT)
        require(not (self.is_key and (self.is_nullable or self.type in ("f32", "f64"))), f"{name} cannot be a key")
        self.value_bytes = self.WIDTHS[type_code - 1] + capacity_bytes
        self.field_bytes = self.value_bytes + self.is_nullable
        self.order = order

    def decode(self, data):
        if self.is_nullable:
            presence, data = data[0], data[1:]
            require(presence in (0, 1), f"{self.name}: presence {presence}")
            if presence == 0:
                require(not any(data), f"{self.name}: bytes that are not zero where there is no value")
                return None
        kind = {"i": "integer", "u": "integer", "f": "float"}.get(self.type[0], self.type)
        return getattr(self, "decode_" + kind)(data)

    def integer(self, data, signed):
        return int.from_bytes(data, "little" if self.order == "<" else "big", signed=signed)

    def decode_integer(self, data):
        value = self.integer(data, signed=self.type[0] == "i")
        # Readers of JSON may take its numbers for doubles.
        return str(value) if len(data) >= 8 else value

    def decode_float(self, data):
        (value,) = struct.unpack(self.order + ("f" if self.type == "f32" else "d"), data)
        return floating(value, self.integer(data, signed=False), self.type == "f32")

    def decode_bool(self, data):
        require(data[0] in (0, 1), f"{self.name}: {data[0]} is no bool")
        return data[0] == 1

    def decode_bytes(self, data):
        return self.content(data).hex()

    def decode_text(self, data):
        try:
            return self.content(data).decode("utf-8")
        except UnicodeDecodeError as error:
            raise Unreadable(f"{self.name}: {error}") from None

    def content(self, data):
        length = self.integer(data[:2], signed=False)
        content, rest = data[2 : 2 + length], data[2 + length :]
        require(len(content) == length, f"{self.name}: a length of {length} in a field of {len(data) - 2}")
        require(not any(rest), f"{self.name}: bytes that are not zero behind the value")
        return content

    def decode_timestamp(self, data):
        return timestamp(self.integer(data, signed=True))

    def decode_date(self, data):
        return year_month_day(self.integer(data, signed=True))


# -- the header ----------------------------------------------------------------------------------


class Header:
    """The header of a table, checked."""

    GEOMETRY = (
        "capacity record_bytes key_offset_bytes key_bytes cell_bytes index_entry_count control_offset intents_offset"
        " heads_offset free_stack_offset index_offset sync_records_offset cells_offset file_bytes"
    ).split()

    def __init__(self, data):
        require(data[:8] == MAGIC, "it does not begin with the magic bytes: it is not a locule table")
        require(len(data) >= 4096, "it ends inside its header")
        mark = data[8:16]
        orders = {struct.pack(order + "Q", BYTE_ORDER_MARK): order for order in "<>"}
        require(mark in orders, f"its byte order mark is {mark.hex()}")
        self.order = orders[mark]
        version, header_bytes = self.unpack("II", data, 16)
        require(version == 1, f"it has format version {version}, and this program reads version 1")
        require(header_bytes and header_bytes % 4096 == 0 and header_bytes <= 1 << 26, f"a header of {header_bytes} bytes")
        require(len(data) >= header_bytes, "it ends inside its header")
        header = data[:header_bytes]
        (header_crc,) = self.unpack("I", header, 164)
        found = zlib.crc32(header[:164] + bytes(4) + header[168:])
        require(found == header_crc, f"its header is damaged: CRC {header_crc:08x} expected, {found:08x} found")
        (incompatible_features,) = self.unpack("Q", header, 32)
        require(incompatible_features == 0, f"it uses features {incompatible_features:#x}, which this program does not know")
        self.header_bytes = header_bytes
        self.uuid = header[128:144]
        (schema_bytes,) = self.unpack("I", header, 160)
        require(168 + schema_bytes <= header_bytes, "its schema is longer than its header")
        self.fields = self.schema(header[168 : 168 + schema_bytes])
        for name, value in zip(self.GEOMETRY, self.unpack("IIIIIIQQQQQQQQ", header, 40)):
            setattr(self, name, value)
        expected = self.geometry(self.capacity)
        for name, value in expected.items():
            require(getattr(self, name) == value, f"its {name} is {getattr(self, name)}, and {value} would fit the rest")
        self.digest_seed = self.unpack("Q", self.uuid, 0)[0] | 1

    def unpack(self, kinds, data, offset):
        return struct.unpack_from(self.order + kinds, data, offset)

    def geometry(self, capacity):
        require(1 <= capacity <= 1 << 24, f"its capacity is {capacity}")
        record_bytes = key_offset_bytes = key_bytes = 0
        for field in self.fields:
            if field.is_key:
                key_offset_bytes, key_bytes = record_bytes, field.field_bytes
            record_bytes += field.field_bytes
        require(1 <= record_bytes <= 65_536, f"its records have {record_bytes} bytes")
        cell_bytes = 24 + round_up(record_bytes, 8)
        index_entry_count = 1 << (2 * capacity).bit_length() if key_bytes else 0
        control_offset = self.header_bytes
        intents_offset = control_offset + 4096
        heads_offset = intents_offset + 8 * capacity
        free_stack_offset = heads_offset + 8 * capacity
        index_offset = free_stack_offset + 8 * capacity
        sync_records_offset = round_up(index_offset + 2 * 8 * index_entry_count, 65_536)
        cells_offset = sync_records_offset + 2 * 4096
        file_bytes = round_up(cells_offset + capacity * 4 * cell_bytes, 4096)
        values = locals()
        return {name: values[name] for name in self.GEOMETRY}

    def schema(self, data):
        try:
            (field_count,), fields, at = self.unpack("I", data, 0), [], 4
            for _ in range(field_count):
                type_code, flags, capacity_bytes, doc_bytes, name_bytes = self.unpack("BBHIB", data, at)
                name = data[at + 9 : at + 9 + name_bytes].decode("ascii")
                require(name.isidentifier(), f"a field is named {name!r}")
                field = Field(name, type_code, flags, capacity_bytes, self.order)
                at += 9 + name_bytes
                if field.has_default:
                    field.decode(data[at : at + field.field_bytes])
                    at += field.field_bytes
                data[at : at + doc_bytes].decode("utf-8")
                at += doc_bytes
                fields.append(field)
        except (struct.error, UnicodeDecodeError, IndexError) as error:
            raise Unreadable(f"its schema is damaged: {error}") from None
        require(at == len(data), "its schema does not end where it should")
        require(fields, "its schema has no fields")
        require(len({field.name for field in fields}) == len(fields), "two fields have the same name")
        require(sum(field.is_key for field in fields) <= 1, "two fields are keys")
        return fields


# -- the state of a file -------------------------------------------------------------------------


class Copy:
    """A copy of a file, in memory, and the records in it."""

    def __init__(self, data):
        self.data = data
        self.header = Header(data)
        require(
            len(data) >= self.header.file_bytes,
            f"it has {len(data)} bytes and should have {self.header.file_bytes}: it was cut short",
        )

    def control(self, kinds, offset):
        return self.header.unpack(kinds, self.data, self.header.control_offset + offset)

    def sealed_state(self, offset):
        """Number, live count and digest of a state in the control region, if its seal is right."""
        number, live_count, digest, seal = self.control("4Q", offset)
        seed = self.header.digest_seed
        rotated = (seed << 32 | seed >> 32) & WORD
        if seal == mix(number, (live_count + rotated) & WORD, digest):
            return number, live_count, digest
        return None

    def sync_records(self):
        """State and predecessor of each sync record whose check is right."""
        for record in (0, 1):
            offset = self.header.sync_records_offset + record * 4096
            number, predecessor, live_count, digest, *_, check = self.header.unpack("24Q", self.data, offset)
            seed = struct.pack(self.header.order + "Q", self.header.digest_seed)
            if check == zlib.crc32(self.data[offset : offset + 184] + seed):
                yield (number, live_count, digest), predecessor

    def cells(self, slot):
        """Number, check, whether it is live, and payload of each cell of a slot whose check is right."""
        cell_bytes = self.header.cell_bytes
        for cell in range(4):
            offset = self.header.cells_offset + (4 * slot + cell) * cell_bytes
            number, second, update_count, check = self.header.unpack("QQII", self.data, offset)
            if 0 < number < NUMBER_LIMIT:
                is_live = bool(second & LIVE_BIT)
                payload = self.data[offset + 24 : offset + cell_bytes]
                expected = mix(number, second & (GENERATION_BITS | LIVE_BIT), update_count) & 0xFFFFFFFF
                if check == expected ^ (zlib.crc32(payload) if is_live else 0):
                    yield number, check, is_live, payload

    def visible_cells(self, number):
        """The cell of each slot that is visible at a number."""
        for slot in range(self.header.capacity):
            visible = [cell for cell in self.cells(slot) if cell[0] <= number]
            if visible:
                yield slot, max(visible, key=lambda cell: cell[0])

    def state(self):
        """The number of the state of the file, and its live cells."""
        prepared, durable = self.control("Q", 200)[0], self.control("Q", 320)[0]
        records = list(self.sync_records())
        intent = self.sealed_state(288)
        candidates = [state for state, _ in records] + [self.sealed_state(256)]
        if intent and intent[0] == prepared:
            candidates.append(intent)
        acknowledged = max([predecessor for _, predecessor in records] + [durable if durable < NUMBER_LIMIT else 0])
        for number, live_count, digest in sorted(filter(None, candidates), reverse=True):
            visible = list(self.visible_cells(number))
            found = self.header.digest_seed
            for slot, (cell_number, check, _, _) in visible:
                found = (found + mix(slot, cell_number, check)) & WORD
            live = [(slot, payload) for slot, (_, _, is_live, payload) in visible if is_live]
            if (found, len(live)) == (digest, live_count):
                require(
                    acknowledged <= number,
                    f"it is damaged: transaction {acknowledged} was synced, and the newest that is whole is {number}",
                )
                return number, live
        raise Unreadable("it is damaged: its cells fit none of its sealed states")

    def rows(self, live):
        for slot, payload in live:
            row, at = {}, 0
            for field in self.header.fields:
                try:
                    row[field.name] = field.decode(payload[at : at + field.field_bytes])
                except Unreadable as error:
                    raise Unreadable(f"the record in slot {slot} is damaged: {error}") from None
                at += field.field_bytes
            yield row


def read(path):
    """The copy of a table and its live cells, of one moment, also if others write to it."""
    with open(path, "rb", buffering=0) as file:
        header = Copy(whole(file)).header
        previous = None
        for _ in range(COPY_ATTEMPT_COUNT):
            prepared = os.pread(file.fileno(), 8, header.control_offset + 200)
            copy = Copy(whole(file))
            if os.pread(file.fileno(), 8, header.control_offset + 200) != prepared:
                continue
            try:
                number, live = copy.state()
            except Unreadable:
                if previous == prepared:
                    raise
            else:
                # If nobody writes, and it is another number, this is what a power cut or a copy has left.
                if header.unpack("Q", prepared, 0) == (number,) or previous == prepared:
                    return copy, live
            previous = prepared
    raise Unreadable("it is being written to all the time: stop the writers, or read a copy")


def whole(file):
    length = os.fstat(file.fileno()).st_size
    parts, at = [], 0
    while at < length:
        part = os.pread(file.fileno(), length - at, at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    return b"".join(parts)


def encode(value):
    """JSON. Exponents are written as most programs do, without a zero before the digit."""
    if isinstance(value, float):
        return repr(value).replace("e-0", "e-")
    return json.dumps(value, ensure_ascii=False)


def main(arguments):
    if len(arguments) != 2:
        print("usage: read_from_format.py FILE", file=sys.stderr)
        return 2
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    try:
        copy, live = read(arguments[1])
        for row in copy.rows(live):
            print("{" + ",".join(f"{encode(name)}:{encode(value)}" for name, value in row.items()) + "}")
    except (Unreadable, OSError) as error:
        print(f"{arguments[1]} cannot be read: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
