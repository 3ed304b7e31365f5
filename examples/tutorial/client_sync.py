from edgews.sync import connect

with connect("ws://127.0.0.1:8765/") as ws:
    ws.send("hello")
    print(ws.recv())
    print(f"{ws.ping() * 1000:.1f} ms there and back")
