/** OpenSeadragon with a canvas above it that is drawn in image pixels, in step with its frames. */
import OpenSeadragon from "openseadragon";
import type { Point } from "./geometry";
import type { View } from "./layer";

// OpenSeadragon adds a style of its own, which the content security policy forbids, unless it finds one so marked. An
// element of that name outside HTML is no style, so the policy has nothing to say; the rule itself is in styles.css.
const marker = document.createElementNS("urn:blemish", "style");
marker.setAttribute("data-openseadragon-mobile-css", "");
document.head.append(marker);

/** An image as the server has it. tile_size and max_level: of its pyramid, whose last level is the image itself */
export type Picture = {
  width: number;
  height: number;
  tile_size: number;
  max_level: number;
  tileUrl: (level: number, x: number, y: number) => string;
};

export type Place = { x: number; y: number; zoom: number };

export class Viewer {
  readonly canvas = document.createElement("canvas");
  private readonly osd: OpenSeadragon.Viewer;
  private frame = 0;
  private readonly sizes: ResizeObserver;
  picture: Picture | null = null;
  view: View = { scale: 1, left: 0, top: 0, width: 1, height: 1, ratio: 1 };

  /**
   * draw: called before each repaint that changes anything
   * onTile: called with each tile that came (true) or did not (false)
   */
  constructor(
    readonly element: HTMLElement,
    private readonly draw: (context: CanvasRenderingContext2D, view: View) => void,
    onTile: (came: boolean) => void,
  ) {
    this.osd = OpenSeadragon({
      element,
      prefixUrl: "",
      drawer: "canvas",
      showNavigationControl: false,
      keyboardNavEnabled: false,
      animationTime: 0.25,
      springStiffness: 12,
      maxZoomPixelRatio: 40,
      minZoomImageRatio: 0.7,
      visibilityRatio: 0.3,
      imageLoaderLimit: 6,
      gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: false },
    } as OpenSeadragon.Options);
    // Its own key handler would take keys that are the page's.
    (this.osd as unknown as { innerTracker: { keyHandler: unknown; keyDownHandler: unknown } }).innerTracker.keyHandler = null;
    this.canvas.className = "layer";
    element.append(this.canvas);
    for (const event of ["update-viewport", "animation", "resize", "open", "animation-finish"] as const) {
      this.osd.addHandler(event as "animation", () => this.repaint());
    }
    this.osd.addHandler("tile-loaded", () => {
      onTile(true);
      this.repaint();
    });
    this.osd.addHandler("tile-load-failed", () => onTile(false));
    this.sizes = new ResizeObserver(() => this.repaint());
    this.sizes.observe(element);
  }

  /** Shows an image; at a place of it, else as a whole. keep: what is shown stays where it is */
  open(picture: Picture, { at = null, keep = false }: { at?: Place | null; keep?: boolean } = {}): Promise<void> {
    const bounds = keep && this.picture ? this.osd.viewport.getBounds(true) : null;
    this.picture = picture;
    this.osd.open({ tileSource: {
      width: picture.width,
      height: picture.height,
      tileSize: picture.tile_size,
      tileOverlap: 0,
      minLevel: 0,
      maxLevel: picture.max_level,
      getTileUrl: picture.tileUrl,
    } } as unknown as OpenSeadragon.TileSourceSpecifier);
    return new Promise((resolve, reject) => {
      this.osd.addOnceHandler("open-failed", (event) => reject(new Error((event as { message?: string }).message)));
      this.osd.addOnceHandler("open", () => {
        if (bounds) this.osd.viewport.fitBounds(bounds, true);
        else if (at) this.goTo(at, true);
        this.repaint();
        resolve();
      });
    });
  }

  /** Asks for a repaint of the layer with the next frame. */
  repaint(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.paint());
  }

  /** Point of the image below a point of the screen, as events give it. */
  toImage(clientX: number, clientY: number): Point {
    const { left, top } = this.canvas.getBoundingClientRect();
    return [(clientX - left - this.view.left) / this.view.scale, (clientY - top - this.view.top) / this.view.scale];
  }

  get center(): Point {
    const { scale, left, top, width, height } = this.view;
    return [(width / 2 - left) / scale, (height / 2 - top) / scale];
  }

  fit(): void {
    this.osd.viewport.goHome();
  }

  /** Shows a place; zoom: screen pixels an image pixel */
  goTo({ x, y, zoom }: Place, immediately = false): void {
    const viewport = this.osd.viewport;
    viewport.zoomTo(viewport.imageToViewportZoom(zoom), undefined, immediately);
    viewport.panTo(viewport.imageToViewportCoordinates(x, y), immediately);
  }

  /** Shows a box with air around it, at most at 4:1. */
  show([x0, y0, x1, y1]: readonly number[]): void {
    const { width, height } = this.view;
    const zoom = Math.min(4, (0.5 * width) / Math.max(x1! - x0!, 8), (0.5 * height) / Math.max(y1! - y0!, 8));
    this.goTo({ x: (x0! + x1!) / 2, y: (y0! + y1!) / 2, zoom });
  }

  zoomBy(factor: number, clientX?: number, clientY?: number): void {
    const viewport = this.osd.viewport;
    const { left, top } = this.canvas.getBoundingClientRect();
    const fixed = clientX === undefined ? undefined : viewport.pointFromPixel(new OpenSeadragon.Point(clientX - left, clientY! - top), true);
    viewport.zoomBy(factor, fixed);
    viewport.applyConstraints();
  }

  /** Moves the picture by screen pixels. */
  panBy(dx: number, dy: number): void {
    const viewport = this.osd.viewport;
    viewport.panBy(viewport.deltaPointsFromPixels(new OpenSeadragon.Point(-dx, -dy), true));
    viewport.applyConstraints();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    this.sizes.disconnect();
    this.osd.destroy();
  }

  private paint(): void {
    this.frame = 0;
    const context = this.canvas.getContext("2d");
    if (!this.picture || !context || this.osd.world.getItemCount() === 0) return;
    const [ratio, width, height] = [devicePixelRatio, this.element.clientWidth, this.element.clientHeight];
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
    }
    const item = this.osd.world.getItemAt(0);
    const corner = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(0, 0));
    const opposite = item.imageToViewerElementCoordinates(new OpenSeadragon.Point(this.picture.width, 0));
    const scale = (opposite.x - corner.x) / this.picture.width;
    this.view = { scale, left: corner.x, top: corner.y, width, height, ratio };
    this.canvas.dataset.view = JSON.stringify([scale, corner.x, corner.y]);
    this.canvas.dataset.sharp = String(item.getFullyLoaded());
    this.osd.drawer.setImageSmoothingEnabled(scale < 2); // pixels are seen as pixels
    this.draw(context, this.view);
  }
}
