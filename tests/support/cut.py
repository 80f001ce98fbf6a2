"""A wire that can be cut: a TCP relay between a client and a server."""

import socket
import threading


class Wire:
    """Listens on a port of its own and passes everything on to `address`, until it is cut."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._behind = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:{}".format(self._listener.getsockname()[1])
        self._lock = threading.Lock()
        self._open = []
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._behind)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open += [near, far]
                self.connections += 1
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._relay, args=(source, target), daemon=True).start()

    @staticmethod
    def _relay(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Breaks every connection off in both directions, without a word; new ones are passed on as before."""
        with self._lock:
            broken, self._open = self._open, []
        for one in broken:
            # Unread data is thrown away, and the peer is sent a reset.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()

    def close(self):
        self._listener.close()
        self.cut()
