// What waits for somebody: neither acknowledged nor over. News that nothing is wrong (INFO) waits for nobody, and would crowd out the rest.
import { list } from "./api";
import type { Alert, Severity } from "./types";

export async function openAlerts(signal?: AbortSignal, only: Severity[] = ["CRITICAL", "ERROR", "WARNING"]): Promise<Alert[]> {
  const pages = await Promise.all(
    only.map((severity) => list<Alert>("/api/backups/alerts", { acknowledged: false, severity, pageSize: 100 }, signal)),
  );
  return pages.flatMap((page) => page.items.filter((alert) => !alert.resolvedAt));
}
