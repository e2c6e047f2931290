// What the API says of the connections that pass now.

export interface Flow {
  readonly id: string;
  readonly protocol: string;
  readonly source: string;
  readonly source_port: number;
  readonly source_name: string;
  readonly source_zone: string;
  readonly destination: string;
  readonly destination_port: number;
  readonly destination_name: string;
  readonly destination_zone: string;
  readonly asked: string;
  readonly service: string;
  readonly state: string;
  readonly inspection: string;
  readonly rule: string;
  readonly said: string;
  readonly sent: number;
  readonly received: number;
  readonly packets_sent: number;
  readonly packets_received: number;
  readonly age: number;
  readonly timeout: number;
}

/** GET /flows */
export interface Flows {
  readonly generation: number;
  readonly total: number;
  readonly looked: number;
  readonly flows: readonly Flow[];
}

/** The live event "flow" */
export interface FlowsLive {
  readonly generation: number;
  readonly at: number;
  readonly total: number;
  readonly biggest: readonly Flow[];
  readonly newest: readonly Flow[];
}
