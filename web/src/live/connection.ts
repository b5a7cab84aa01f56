/**
 * The live connection of a line: the newest part with its verdict and picture, one at a time.
 *
 * The server sends each of the line's events as JSON, and a picture as a binary message: "BLF1", four zero bytes,
 * sequence number (u64), scale (f32), length (u32), all little-endian, then a JPEG. The page says "ready" when it
 * has drawn one; until then the server holds the newest back, so nothing queues.
 */
import { signal } from "@preact/signals";
import { ROOT } from "../api/client";
import type { LivePart } from "../api/types";

const HEADER = 24;
const MAGIC = 0x424c4631; // "BLF1"
const RECENT = 300;
const UNAUTHORISED = 4401;

/** scale: of the picture to the image, in (0, 1] */
type Header = { seq: number; scale: number; length: number };

/** Header of a picture. Raises RangeError for another message. */
function headerOf(buffer: ArrayBuffer): Header {
  const view = new DataView(buffer);
  if (buffer.byteLength < HEADER || view.getUint32(0) !== MAGIC) throw new RangeError("This is no live picture.");
  return { seq: Number(view.getBigUint64(8, true)), scale: view.getFloat32(16, true), length: view.getUint32(20, true) };
}

export class LiveConnection {
  readonly part = signal<LivePart | null>(null);
  readonly recent = signal<readonly LivePart[]>([]);
  readonly picture = signal<{ header: Header; bitmap: ImageBitmap } | null>(null);
  readonly open = signal(false);
  private socket: WebSocket | null = null;
  private timer = 0;
  private wait = 500;
  private closed = false;

  constructor(private readonly line: number) {
    this.connect();
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket?.close();
  }

  private connect(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}${ROOT}/lines/${this.line}/live`);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.open.value = true;
      this.wait = 500;
    };
    socket.onmessage = (event) => this.take(event.data as string | ArrayBuffer);
    socket.onclose = ({ code }) => {
      this.open.value = false;
      if (this.closed || code === UNAUTHORISED) return;
      this.timer = setTimeout(() => this.connect(), this.wait) as unknown as number;
      this.wait = Math.min(this.wait * 2, 8000);
    };
    this.socket = socket;
  }

  private take(data: string | ArrayBuffer): void {
    if (typeof data !== "string") return void this.takePicture(data);
    const message = JSON.parse(data) as LivePart & { kind: string; shadow?: boolean };
    if (message.kind === "inspection" && !message.shadow) this.takePart(message);
  }

  private takePart(part: LivePart): void {
    this.part.value = part;
    this.recent.value = [...this.recent.value.slice(1 - RECENT), part];
  }

  private async takePicture(data: ArrayBuffer): Promise<void> {
    const header = headerOf(data);
    try {
      const bitmap = await createImageBitmap(new Blob([data.slice(HEADER, HEADER + header.length)]));
      this.picture.value?.bitmap.close();
      this.picture.value = { header, bitmap };
    } finally {
      if (this.socket?.readyState === WebSocket.OPEN) this.socket.send("ready");
    }
  }
}
