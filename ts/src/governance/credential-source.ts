/**
 * Where a provider's credential is fetched from when it is not a key that stays as it is. Plain data: addresses come
 * along, so that whoever fetches decides nothing.
 */

/** One source. */
export type CredentialSource =
  | AwsContainerSource
  | AwsInstanceSource
  | AwsWebIdentitySource
  | GoogleServiceAccountSource
  | GoogleUserSource
  | GoogleInstanceSource
  | AzureEntraSource
  | OauthClientSource
  | OauthBasicSource;

/** The endpoint that Amazon's container services give a task. */
export interface AwsContainerSource {
  readonly kind: 'aws_container';
  readonly url: string;
  /** Sent as `authorization`. */
  readonly token: string | null;
  /** Holds that token, and is read again each time. */
  readonly tokenFile: string | null;
}

/** The metadata service of an Amazon machine, version 2. */
export interface AwsInstanceSource {
  readonly kind: 'aws_instance';
  /** `http://169.254.169.254` */
  readonly url: string;
}

/** A role that is assumed with a token of the cluster (IRSA). */
export interface AwsWebIdentitySource {
  readonly kind: 'aws_web_identity';
  /** Amazon's token service. */
  readonly url: string;
  readonly roleArn: string;
  readonly tokenFile: string;
  readonly sessionName: string;
}

/** A key file of a Google service account. */
export interface GoogleServiceAccountSource {
  readonly kind: 'google_service_account';
  readonly tokenUrl: string;
  readonly clientEmail: string;
  readonly privateKeyPem: string;
  readonly privateKeyId: string | null;
}

/** A person's login to Google Cloud, as `gcloud auth application-default login` leaves it. */
export interface GoogleUserSource {
  readonly kind: 'google_user';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly refreshToken: string;
}

/** The metadata service of a Google machine. */
export interface GoogleInstanceSource {
  readonly kind: 'google_instance';
  /** `http://metadata.google.internal` */
  readonly url: string;
}

/** An application registered with Microsoft Entra ID. */
export interface AzureEntraSource {
  readonly kind: 'azure_entra';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope: string;
}

/** A client of any other token service. */
export interface OauthClientSource {
  readonly kind: 'oauth_client';
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Null where none is asked for. */
  readonly scope: string | null;
}

/** A token service that takes a key as it is (HTTP Basic), and wants each request to have an id. */
export interface OauthBasicSource {
  readonly kind: 'oauth_basic';
  readonly tokenUrl: string;
  /** What follows `Basic`. */
  readonly credentials: string;
  readonly scope: string | null;
  /** Name of the header with the id. */
  readonly idHeader: string;
}
