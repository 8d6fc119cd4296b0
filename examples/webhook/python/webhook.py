import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USERS = {"token-of-ada": "ada"}


class Webhook(BaseHTTPRequestHandler):
    def do_POST(self):
        call = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = {"authenticated": False}
        if user := USERS.get(call["token"]):
            own = {"everything": False, "queriesByCollection": {"notes": [f"_id.owner == '{user}'"]}}
            answer = {"authenticated": True, "userID": user, "expirationSeconds": 3600,
                      "permissions": {"read": own, "write": own}}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


ThreadingHTTPServer(("127.0.0.1", 9471), Webhook).serve_forever()
