// The types that the page has written down fit what the API says of itself (schema.ts is made of that by `make check`).
// Nothing of this runs: it is here to be compiled.

import type { Generation, Planned, Seals } from "./changes.ts";
import type { Finding } from "./problem.ts";
import type { components } from "./schema.ts";
import type { Me, Status } from "./types.ts";
import type * as Account from "../views/account/shapes.ts";
import type * as Alerts from "../views/alerts/shapes.ts";
import type { Flow, Flows, FlowsLive } from "../views/flows/shapes.ts";
import type * as Lines from "../views/lines/shapes.ts";
import type * as Bans from "../views/bans/shapes.ts";
import type * as Devices from "../views/devices/shapes.ts";
import type * as Indicators from "../views/indicators/shapes.ts";
import type * as Inspection from "../views/inspection/shapes.ts";
import type * as Notices from "../views/notices/shapes.ts";
import type * as Reports from "../views/report/shapes.ts";
import type * as Records from "../views/records/shapes.ts";
import type * as Workshop from "../workshop/shapes.ts";

type Api = components["schemas"];
/** What the API gives can be taken for what the page wants. */
type Fits<Wanted, _Given extends Wanted> = Wanted;

export type Agreed = [
  Fits<Omit<Me, "permissions">, Api["Me"]>,
  Fits<Status, Api["StatusView"]>,
  Fits<Finding, Api["Finding"]>,
  Fits<Generation, Api["GenerationSummary"]>,
  Fits<Seals, Api["SealList"]>,
  Fits<Planned, Api["Planned"]>,
  Fits<{ text: string }, Api["GenerationText"]>,
  Fits<{ generation: number }, Api["Confirmed"]>,
  Fits<Workshop.RulePage, Api["RulesPage"]>,
  Fits<Workshop.Use, Api["UsedAt"]>,
  Fits<Workshop.CalendarEntry, Api["Entry"]>,
  Fits<Workshop.WhyAnswered, Api["WhyAnswered"]>,
  Fits<Workshop.Draft, Api["Draft"]>,
  Fits<Workshop.DraftText, Api["DraftTextIs"]>,
  Fits<Workshop.DraftChecked, Api["DraftChecked"]>,
  Fits<Workshop.Impacted, Api["Impacted"]>,
  Fits<Workshop.Proposal, Api["Proposal"]>,
  Fits<Workshop.ProposalShown, Api["ProposalShown"]>,
  Fits<Workshop.Tried, Api["TriedView"]>,
  Fits<Workshop.Applied, Api["Applied"]>,
  Fits<Workshop.Merged, Api["Merged"]>,
  Fits<Workshop.NamedThing, Api["ObjectRow"]>,
  Fits<Workshop.Choices, Api["Completion"]>,
  Fits<Me, Api["Me"]>,
  Fits<Notices.Notices, Api["NoticeList"]>,
  Fits<Reports.Report, Api["Report"]>,
  Fits<Records.AuditLine, Api["AuditLine"]>,
  Fits<Records.Consumers, Api["ConsumerList"]>,
  Fits<Account.Credentials, Api["Credentials"]>,
  Fits<Account.App, Api["NewApp"]>,
  Fits<Account.Session, Api["SessionView"]>,
  Fits<Account.TokenMade, Api["TokenMade"]>,
  Fits<Account.Person, Api["AccountView"]>,
  Fits<Account.Link, Api["LinkView"]>,
  Fits<Account.Wanted, Api["WantedView"]>,
  Fits<Alerts.AlertList, Api["AlertList"]>,
  Fits<Alerts.AlertShown, Api["AlertView"]>,
  Fits<Alerts.Counts, Api["AlertCountsAre"]>,
  Fits<Lines.Lines, Api["LineList"]>,
  Fits<Lines.LineShown, Api["LineView"]>,
  Fits<Lines.Topology, Api["TopologyView"]>,
  Fits<Lines.Connections, Api["ConnectionsView"]>,
  Fits<Lines.Health, Api["Health"]>,
  Fits<Flow, Api["FlowRow"]>,
  Fits<Flows, Api["FlowsView"]>,
  Fits<FlowsLive["biggest"][number], Api["FlowRow"]>,
  Fits<Inspection.Inspection, Api["InspectionView"]>,
  Fits<Indicators.Indicators, Api["IndicatorList"]>,
  Fits<Indicators.Overridden, Api["Overridden"]>,
  Fits<Bans.BanPage, Api["BanPage"]>,
  Fits<Bans.Effect, Api["BanEffect"]>,
  Fits<Bans.AllowPage, Api["AllowPage"]>,
  Fits<Bans.Gate, Api["GateReport"]>,
  Fits<Bans.PrefixPage, Api["PrefixPage"]>,
  Fits<Devices.DevicePage, Api["DevicePage"]>,
];
