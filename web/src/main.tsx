/** Starts the page: finds out who is logged in, then shows what the address asks for. */
import { render } from "preact";
import { useEffect } from "preact/hooks";
import { api } from "./api";
import { go, path } from "./router";
import { loadClasses } from "./catalogue";
import { may, me } from "./state";
import { Shell, Toasts } from "./shell";
import { Empty } from "./parts/basics";
import { AuditPage } from "./pages/audit";
import { BundlesPage } from "./pages/bundles";
import { ClassesPage } from "./pages/classes";
import { DatasetsPage } from "./pages/datasets";
import { JobPage, JobsPage } from "./pages/jobs";
import { LinesPage } from "./pages/lines";
import { LivePage } from "./pages/live";
import { LoginPage } from "./pages/login";
import { PartPage } from "./pages/part";
import { PartsPage } from "./pages/parts";
import { ReviewPage } from "./pages/review";
import { TokensPage } from "./pages/tokens";
import { UsersPage } from "./pages/users";
import { T } from "./texts";
import "uplot/dist/uPlot.min.css";
import "./styles.css";

function App() {
  useEffect(() => {
    api.me().then((who) => (me.value = who)).catch(() => (me.value = null));
  }, []);
  useEffect(() => {
    if (me.value) void loadClasses().catch(() => null);
  }, [me.value]);
  if (me.value === undefined) return <div class="loading" role="status">{T.loading}</div>;
  if (me.value === null) return <><LoginPage /><Toasts /></>;
  return <Shell><Current /></Shell>;
}

function Current() {
  const [page, id] = path.value;
  if (page === "parts") return id ? <PartPage key={id} id={Number(id)} /> : <PartsPage />;
  if (page === "review" && may("operator")) return <ReviewPage />;
  if (page === "classes") return <ClassesPage />;
  if (page === "datasets" && may("engineer")) return <DatasetsPage />;
  if (page === "jobs" && may("engineer")) return id ? <JobPage key={id} id={Number(id)} /> : <JobsPage />;
  if (page === "bundles") return <BundlesPage />;
  if (page === "users" && may("admin")) return <UsersPage />;
  if (page === "tokens" && may("admin")) return <TokensPage />;
  if (page === "lines" && may("admin")) return <LinesPage />;
  if (page === "audit" && may("engineer")) return <AuditPage />;
  if (page === "live") return <LivePage />;
  return (
    <Empty title={T.notFound}>
      <button onClick={() => go("/live")}>{T.nav.live}</button>
    </Empty>
  );
}

render(<App />, document.getElementById("app")!);
