import http.server, os, random

version = os.environ["BELAY_VERSION"]
count = {"200": 0, "500": 0}

class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/metrics":
            lines = [f'http_requests_total{{status="{s}",version="{version}"}} {n}' for s, n in count.items()]
            return self.answer(200, "\n".join(lines) + "\n")
        if self.path == "/healthz":
            return self.answer(200, "ok")
        status = 500 if version == "2.0" and random.random() < 0.5 else 200
        count[str(status)] += 1
        self.answer(status, f"shop {version}\n")

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", 8000), Shop).serve_forever()
