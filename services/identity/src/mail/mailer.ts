export interface Mail {
  /** Id of the effect that sends it: a second mail with the same id is not sent. */
  id: string;
  tenantId: string;
  kind: 'invitation' | 'notice';
  to: string;
  subject: string;
  text: string;
  html: string;
}

export abstract class Mailer {
  /** True where nothing leaves the machine. */
  abstract readonly simulated: boolean;
  abstract send(mail: Mail): Promise<void>;
}
