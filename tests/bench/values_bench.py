"""The sections of bench.py that measure the values of every dtype: natively, and in Node."""
import os
import subprocess

# Those that most weights have are held to more.
USUAL = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K")
IN_NODE = USUAL + ("IQ2_XXS", "IQ4_XS", "MXFP4")


class ValuesSections:
    def run_values(self):
        """Floats from blocks, 32 Mi at a time, on one core: over a memset of the same floats, and statistics over that."""
        program = self.program("bench-values")
        names = subprocess.run([program], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        for name in names:
            over_fill, over_decode, fill, decode, statistics, _ = self.numbers(program, name, str(self.rounds))
            self.row(f"{name}: floats over memset", over_fill, "", 0.4 if name in USUAL else 0.1, at_least=True,
                     note=f"{decode:.1f} over {fill:.1f} GB/s")
            self.row(f"{name}: statistics over floats", over_decode, "", note=f"{statistics:.1f} GB/s")

    def run_package_values(self):
        """The same in Node, by the npm package, into an array that is there: over the native time."""
        program, script = self.program("bench-values"), os.path.join(os.path.dirname(os.path.abspath(__file__)), "package_values.mjs")
        for name in IN_NODE:
            *_, native = self.numbers(program, name, str(self.rounds))
            values, statistics, module = self.numbers("node", script, self.library(), name, str(self.rounds))
            if name != "F32":  # which is copied
                self.row(f"{name}: native time over that of the module", native / module, "", 0.5, at_least=True,
                         note=f"{1000 * native:.0f} over {1000 * module:.0f} ms")
            self.row(f"{name}: native time over that of values()", native / values, "", note=f"{1000 * values:.0f} ms")
            self.row(f"{name}: values() over stats()", values / statistics, "", note=f"{1000 * statistics:.0f} ms")
