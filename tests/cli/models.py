"""Builds tiny model files, byte by byte, for the tests of the command."""
import json
import struct

VALUE_TYPES = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64"]
NUMBERS = dict(u8="B", i8="b", u16="H", i16="h", u32="I", i32="i", f32="f", bool="B", u64="Q", i64="q", f64="d")
F32, F16, Q4_0, I8 = 0, 1, 2, 24


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def string(text):
    return struct.pack("<Q", len(as_bytes(text))) + as_bytes(text)


def value(kind, content):
    """The bytes of a value: `content` is (element type, list) for arrays, and may be raw bytes for floats."""
    if kind == "string":
        return string(content)
    if kind == "array":
        element, items = content
        head = struct.pack("<IQ", VALUE_TYPES.index(element), len(items))
        return head + b"".join(value(element, item) for item in items)
    return content if isinstance(content, bytes) else struct.pack("<" + NUMBERS[kind], content)


def entry(key, kind, content):
    return string(key) + struct.pack("<I", VALUE_TYPES.index(kind)) + value(kind, content)


def gguf(entries=(), tensors=(), alignment=32, version=3):
    """A GGUF file. `entries` are (key, type, value); `tensors` are (name, dimensions, type id, bytes)."""
    head = bytearray(b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries)))
    head += b"".join(entry(*each) for each in entries)
    data = bytearray()
    for name, dims, dtype, content in tensors:
        head += string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, dtype, len(data))
        data += content + bytes(-len(content) % alignment)
    if tensors:
        head += bytes(-len(head) % alignment)
    return bytes(head + data)


def safetensors(tensors=(), metadata=None):
    """A safetensors file. `tensors` are (name, dtype, shape, bytes)."""
    header, data = {}, b""
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, dtype, shape, content in tensors:
        header[name] = dict(dtype=dtype, shape=shape, data_offsets=[len(data), len(data) + len(content)])
        data += content
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return struct.pack("<Q", len(text)) + text + data


def simple():
    """A small model with a bit of everything that is usual."""
    return gguf(
        [("general.architecture", "string", "llama"), ("general.name", "string", "Tiny"),
         ("llama.block_count", "u32", 2),
         ("tokenizer.ggml.tokens", "array", ("string", [f"token{i}" for i in range(20)]))],
        [("token_embd.weight", [4, 3], F32, struct.pack("<12f", *range(12))),
         ("blk.0.attn_q.weight", [32], Q4_0, bytes(range(18))),
         ("blk.1.attn_q.weight", [2], F16, b"\x00\x3c\x00\x40")])
