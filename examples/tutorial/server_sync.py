from edgews.sync import WebSocket, serve


def echo(ws: WebSocket) -> None:
    for message in ws:
        ws.send(message)


with serve(echo, "127.0.0.1", 8765) as server:
    server.serve_forever()
