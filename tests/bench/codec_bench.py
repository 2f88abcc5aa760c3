"""The sections of bench.py that measure decompression, beside the codecs' own libraries.

The compressed forms of a model lie beside it and are made once, by bench-compress.
"""
import os
import subprocess
import sys

MILLION = 1_000_000
MIB = 1 << 20
FORMS_VERSION = 1  # counted up whenever bench-compress makes other bytes

# The models: 64 MiB, or 16, where the codec takes seconds for more. bf16 is what most models are; LZ4 leaves that as it
# is, and has something to decode only where most weights are zero.
BF16, QUANTIZED, PRUNED = "bf16-512m", "q4k-512m", "pruned-512m"
BF16_64, BF16_16, BF16_4, PRUNED_64, PRUNED_4 = "bf16-64m", "bf16-16m", "bf16-4m", "pruned-64m", "pruned-4m"
SMALLER = {BF16: BF16_64, QUANTIZED: "q4k-64m", PRUNED: PRUNED_64, BF16_64: BF16_16, BF16_16: BF16_4}  # with --small

# One stream.
STREAMS = (("zstd-3", BF16), ("zstd-3", QUANTIZED), ("lz4", BF16), ("lz4", PRUNED), ("gzip-6", BF16_64), ("zlib-6", BF16_64),
           ("bzip2-9", BF16_16), ("xz-1", BF16_16), ("xz-6", BF16_16))
# Many units, and the least of the loop's speed. Of lz4 the checksum of the whole takes one thread. LZ4 decodes as fast as
# the file can be read, which the loop over what is in memory does not do: there a loop that reads is the measure.
UNITS = (("zstd-frames", BF16, 0.9), ("pzstd", BF16, 0.9), ("lz4-blocks", BF16, None), ("lz4-blocks", PRUNED, None),
         ("lz4", PRUNED, None), ("bgzip", BF16, 0.9), ("xz-blocks", BF16_64, 0.9))
COUNTED = (("gzip-6", BF16_4), ("zlib-6", BF16_4), ("bzip2-9", BF16_4), ("xz-6", BF16_4), ("zstd-3", BF16_4),
           ("lz4", PRUNED_4))
# Of 64 MiB, and quick to make.
SINGLE, MANY = ("gzip-1", "zstd-3", "xz-1"), ("zstd-frames", "pzstd", "xz-blocks", "lz4", "lz4-blocks", "bgzip")
MODULE = (("zstd-3", BF16_64), ("lz4", PRUNED_64), ("gzip-6", BF16_64), ("bzip2-9", BF16_16), ("xz-6", BF16_16))


class CodecSections:
    def form(self, form, sample):
        """The path of a generated input in one of its compressed forms; made anew after either recipe changed."""
        plain = self.input(sample)
        path = f"{plain}.{form}"
        with open(plain + ".recipe", encoding="utf-8") as file:
            recipe = f"{file.read().strip()} {form} {FORMS_VERSION}"
        if sealed(path) == recipe:
            return path
        if os.path.exists(path + ".recipe"):
            os.remove(path + ".recipe")
        subprocess.run([self.program("bench-compress"), form, plain, path], check=True)
        with open(path + ".recipe", "w", encoding="utf-8") as file:
            file.write(f"{recipe} {os.path.getsize(path)}\n")
        return path

    def measure(self, what, bound, mode, path, *more):
        """A row of bench-codecs'; none where it cannot do that here."""
        done = subprocess.run([self.program("bench-codecs"), mode, path, str(self.rounds), *more],
                              stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode == 2:
            return
        if done.returncode != 0:
            sys.exit(f"bench.py: bench-codecs {mode} {path} fails")
        ratio, ours, plain = (float(word) for word in done.stdout.split())
        self.row(what, ratio, "", bound, at_least=True, note=f"{ours:.2f} over {plain:.2f} GB/s")

    def sized(self, table):
        """The rows of a table of forms and models; of smaller models with --small."""
        return [(form, SMALLER.get(sample, sample) if self.small else sample, *more) for form, sample, *more in table]

    # -- sections ---------------------------------------------------------------------------------

    def run_codec_instructions(self):
        """Decoding 4 MiB: instructions over those of the codec's streaming API."""
        program = self.program("bench-codecs")
        for form, sample in COUNTED:
            path = self.form(form, sample)
            for what, way in (("decoder", "read() to where it stays"), ("push", "a Loader, 256 KiB at once")):
                ours, codec = (self.instructions(f"measured_{whose}_{what}", program, "count", f"{whose}-{what}", path)
                               for whose in ("ballast", "codec"))
                self.row(f"{form}: {way}", ours / codec, "", 1.05,
                         note=f"{ours / MILLION:.1f} over {codec / MILLION:.1f} M instr.")

    def run_codec_memory(self):
        """Peak over the idle program for 64 MiB: at most the model x 1.05, 32 MiB, and what the decoder itself needs."""
        program, threads = self.program("bench-codec-memory"), os.cpu_count() or 1
        for form in SINGLE + MANY:
            path = self.form(form, BF16_64)
            for way in ("file", "pipe", "push"):
                growth, size, own = self.numbers(program, way, path)
                # On several threads there are several decoders.
                own *= threads if way == "file" and form in MANY else 1
                self.row(f"{form}: {way}", growth / MIB, "MiB", (1.05 * size + 32 * MIB + own) / MIB,
                         note=f"{own / MIB:.1f} MiB of them the decoder's")

    def run_codecs(self):
        """Decoding one stream, warm: ratios to the codec's own library in the same run."""
        for form, sample in self.sized(STREAMS):
            path = self.form(form, sample)
            what = os.path.basename(path)
            self.measure(f"{what}: read, over the streaming API", 0.95, "read", path)
            self.measure("  what reads as a stream, into memory that is there", 0.95, "decoder", path)
            self.measure("  a Loader, 256 KiB at once", 0.95, "push", path, str(256 << 10))
            self.measure("  a Loader, 64 KiB at once", 0.95, "push", path, str(64 << 10))
            if sample not in (BF16_16, BF16_4):  # where the decoder takes all of the time
                self.measure("  Boost's filter, written to, 256 KiB at once", None, "write", path, str(256 << 10))
                self.measure("  a Loader, 256 KiB at once, prepared and committed", None, "commit", path, str(256 << 10))
            self.measure("  read, over one call for all of it", 1 if form == "zstd-3" else None, "whole", path)

    def run_codec_threads(self):
        """Decoding many units, warm: ratios to a loop over the codec's one-shot call on as many threads."""
        for form, sample, bound in self.sized(UNITS):
            path = self.form(form, sample)
            self.measure(f"{os.path.basename(path)}: read", bound, "units", path)
            if form == "lz4-blocks":
                self.measure("  over a loop that reads each unit from the file", 0.9, "units-read", path)

    def run_wasm_codec_memory(self):
        """The module in Node: peak over the idle module for 64 MiB: at most the model x 1.05, and 24 MiB."""
        for form in ("gzip-1", "zstd-3", "lz4", "xz-6", "bzip2-9"):
            growth, size = self.module("memory", self.form(form, BF16_64))
            self.row(form, growth / MIB, "MiB", (1.05 * size + 24 * MIB) / MIB)

    def run_wasm_codecs(self):
        """The module's Loader in Node: ratios to the codec alone as WebAssembly, given the same chunks."""
        peer = os.path.join(self.wasm, "tests", "bench", "bench-codec-module.mjs")
        if not os.path.exists(peer):
            sys.exit(f"bench.py: there is no {peer}: build it with -DBALLAST_BUILD_BENCH=ON")
        for form, sample in self.sized(MODULE):
            ratio, ours, plain = self.module("decode", self.form(form, sample), str(self.rounds), peer)
            self.row(f"{form}: 256 KiB at once", ratio, "", 0.85, at_least=True,
                     note=f"{ours:.3f} over {plain:.3f} GB/s")


def sealed(path):
    """The recipe that a form was made by, if it is as long as it was then."""
    try:
        with open(path + ".recipe", encoding="utf-8") as file:
            recipe, size = file.read().strip().rsplit(" ", 1)
        return recipe if os.path.getsize(path) == int(size) else None
    except (OSError, ValueError):
        return None
