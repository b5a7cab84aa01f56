/** The scores of the last parts as a chart, NG and REVIEW marked by shape. */
import uPlot from "uplot";
import { useEffect, useRef } from "preact/hooks";
import type { LivePart } from "../api/types";
import { theme } from "../state";
import { T } from "../texts";

const HEIGHT = 120;

export function ScoreChart({ parts }: { parts: readonly LivePart[] }) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  useEffect(() => {
    const element = place.current!;
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--faint").trim();
    const axis = { stroke: ink, grid: { stroke: style.getPropertyValue("--line").trim(), width: 1 }, font: "11px system-ui" };
    chart.current = new uPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false }, y: { range: [0, 1] } },
        axes: [{ ...axis, size: 24 }, { ...axis, size: 36, splits: () => [0, 0.5, 1] }],
        series: [{}, { stroke: ink, width: 1, points: { show: false } }, dots(style.getPropertyValue("--NG").trim()), dots(style.getPropertyValue("--REVIEW").trim())],
      },
      dataOf(parts),
      element,
    );
    const sizes = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    sizes.observe(element);
    return () => {
      sizes.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, [theme.value]);
  useEffect(() => chart.current?.setData(dataOf(parts)), [parts]);
  return <div ref={place} class="chart" role="img" aria-label={T.live.scores} />;
}

const dots = (stroke: string): uPlot.Series => ({ stroke, fill: stroke, paths: () => null, points: { show: true, size: 6 } });

function dataOf(parts: readonly LivePart[]): uPlot.AlignedData {
  const of = (verdict: string) => parts.map((part) => (part.verdict === verdict ? part.score : null));
  return [parts.map((part) => part.seq), parts.map((part) => part.score), of("NG"), of("REVIEW")];
}
