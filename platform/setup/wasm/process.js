// For programs that run in Node with Emscripten's NODERAWFS (see emscripten.cmake), which leaves out some of what POSIX
// says, in 3.1.69: it gives programs an environment of its own making, takes the standard streams for terminals without
// asking, throws when asked for the size of one, finds no status for them, looks for the status of an open file at its
// path, where another one may lie by now, lets programs seek in pipes, and cannot wait for a pipe that was set not to
// block.
Module['preRun'] = () => {
  if (typeof ENV === 'undefined') return;  // a program that never asks
  // Emscripten takes a character for a byte.
  for (const [name, value] of Object.entries(process.env)) ENV[name] = Buffer.from(value).toString('latin1');
};

Module['onRuntimeInitialized'] = () => {
  const fs = require('fs');
  const isatty = require('tty').isatty;

  const canSeek = (stream) => {
    const status = fs.fstatSync(stream.nfd);
    return status.isFile() || status.isBlockDevice() || status.isDirectory();
  };
  const open = FS.open;
  FS.open = (...args) => {
    const stream = open(...args);
    if (stream.nfd === undefined) return stream;
    if (!canSeek(stream)) stream.seekable = false;
    if (fs.fstatSync(stream.nfd).isFile()) stream.path = Object.assign(new String(stream.path), { nfd: stream.nfd });
    return stream;
  };
  const stat = FS.stat;
  FS.stat = (path, ...args) => (path.nfd === undefined ? stat(path, ...args) : fs.fstatSync(path.nfd));
  const llseek = FS.llseek;
  FS.llseek = (stream, ...args) => {
    if (stream.nfd !== undefined && !canSeek(stream)) throw new FS.ErrnoError(ERRNO_CODES['ESPIPE']);
    return llseek(stream, ...args);
  };

  const clock = new Int32Array(new SharedArrayBuffer(4));
  const waiting = (transfer) => (...args) => {
    for (;;) {
      try {
        return transfer(...args);
      } catch (error) {
        if (error.errno !== ERRNO_CODES['EAGAIN']) throw error;
        Atomics.wait(clock, 0, 0, 5);  // milliseconds
      }
    }
  };
  FS.read = waiting(FS.read);
  FS.write = waiting(FS.write);

  for (const descriptor of [0, 1, 2]) {
    const stream = FS.streams[descriptor];
    if (!stream) continue;
    stream.path ||= `/dev/fd/${descriptor}`;  // fstat() goes by the path
    if (!isatty(descriptor)) {
      stream.tty = undefined;
    } else {
      const output = descriptor === 2 ? process.stderr : process.stdout;
      stream.tty = { ops: { ioctl_tiocgwinsz: () => [output.rows || 0, output.columns || 0] } };
    }
  }
};
