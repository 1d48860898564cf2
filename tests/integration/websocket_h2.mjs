// WebSocket over HTTP/2 (RFC 8441) with node's own HTTP/2: websocket_h2.mjs PORT. A server that sends back what it gets, and a client
// that says three texts on each of two streams, one of them compressed, and then closes.
import http2 from "node:http2";
import zlib from "node:zlib";

const port = Number(process.argv[2]);
const server = http2.createServer({ settings: { enableConnectProtocol: true } });
server.on("stream", (stream, headers) => {
    const deflate = "sec-websocket-extensions" in headers;
    stream.respond({ ":status": 200, "sec-websocket-protocol": "echo", ...(deflate && { "sec-websocket-extensions": "permessage-deflate" }) });
    let unread = Buffer.alloc(0);
    stream.on("data", (more) => {
        unread = Buffer.concat([unread, more]);
        while (unread.length >= 6 && unread.length >= 6 + (unread[1] & 0x7f)) {
            const n = unread[1] & 0x7f;
            const payload = Buffer.from(unread.subarray(6, 6 + n).map((byte, i) => byte ^ unread[2 + (i % 4)]));
            stream.write(Buffer.concat([Buffer.from([unread[0], n]), payload]));
            unread = unread.subarray(6 + n);
        }
    });
    stream.on("end", () => stream.end());
});
const frame = (first, payload) => {
    const mask = Buffer.from([1, 2, 3, 4]);
    return Buffer.concat([Buffer.from([first, 0x80 | payload.length]), mask, payload.map((byte, i) => byte ^ mask[i % 4])]);
};
const squeeze = (text) => zlib.deflateRawSync(text, { finishFlush: zlib.constants.Z_SYNC_FLUSH }).subarray(0, -4);
const talk = (client, path, deflate) =>
    new Promise((resolve) => {
        const stream = client.request({
            ":method": "CONNECT", ":protocol": "websocket", ":scheme": "http", ":path": path, ":authority": `127.0.0.1:${port}`,
            ...(deflate && { "sec-websocket-extensions": "permessage-deflate" }),
        });
        stream.on("response", () => {
            for (const text of ["first", "second", "third"])
                stream.write(deflate ? frame(0xc1, squeeze(text)) : frame(0x81, Buffer.from(text)));
            stream.end(frame(0x88, Buffer.from([0x03, 0xe8])));
        });
        stream.on("data", () => {});
        stream.on("end", resolve);
    });
server.listen(port, "127.0.0.1", () => {
    const client = http2.connect(`http://127.0.0.1:${port}`);
    client.on("remoteSettings", async () => {
        await Promise.all([talk(client, "/plain", false), talk(client, "/squeezed?a=b", true)]);
        client.close();
        server.close();
    });
});
